package room

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// ErrNotDue says that a session needs no renewal now, or can have none.
var ErrNotDue = errors.New("the session needs no renewal")

// Used is a pass that somebody comes with.
type Used struct {
	Visitor                string
	ID                     string // of the pass
	Issued, Expires, Began time.Time
}

// Renew prolongs the session of a pass that is used after half of its life, where
// sessions slide. Redis is asked once for each renewal, however many requests come
// with the pass at once. Its errors are ErrNotDue, which costs no call,
// queue.ErrOver and queue.ErrUnavailable; the pass is as good as before after each.
func (r *Room) Renew(ctx context.Context, used Used) (Claim, error) {
	longest, v := r.cfg.Load().Sliding, r.View()
	due := used.Issued.Add(used.Expires.Sub(used.Issued) / 2)
	if longest == 0 || v.Now.Before(due) || v.Degraded {
		return Claim{}, ErrNotDue
	}
	if used.Began.Add(longest).Sub(used.Expires) < time.Second { // passes end in whole seconds
		return Claim{}, ErrNotDue
	}
	visitor, err := place.ParseVisitor(used.Visitor)
	if err != nil || !r.renewals.first(used.ID, r.deps.Clock.Now()) {
		return Claim{}, ErrNotDue
	}
	got, err := r.queue.Renew(ctx, queue.Renewal{Visitor: visitor, Issued: used.Issued, Began: used.Began, Longest: longest})
	if err != nil {
		return Claim{}, err
	}
	if got.Again {
		return Claim{}, ErrNotDue
	}
	return Claim{Issued: got.At, Expires: got.Expires, Began: used.Began}, nil
}

// session is what a visitor may have a pass for. One who is given another for a
// session that goes on must not begin its longest time anew.
func (r *Room) session(ctx context.Context, v place.Visitor, got queue.Claim) Claim {
	s := Claim{Issued: got.At, Expires: got.Expires, Again: got.Again, Began: got.At}
	longest := r.cfg.Load().Sliding
	if longest == 0 || !got.Again {
		return s
	}
	began, renewed, err := r.queue.Began(ctx, v)
	switch first := got.Expires.Add(-longest); {
	case err != nil: // it can be as long as it is, and no longer
		s.Began = first
	case renewed && !began.Before(first):
		s.Began = began
	default: // never renewed; what is known is about a session before this one
		s.Began = got.Expires.Add(-r.View().Settings.Session)
	}
	if s.Began.After(s.Issued) {
		s.Began = s.Issued
	}
	return s
}

const (
	// renewalAgain is after how long, or up to twice as long, a renewal is asked for again
	// with the same pass: the answer may not have reached the fan.
	renewalAgain = 30 * time.Second
	// maxRenewals bounds what is remembered: 100,000 × about 60 B, twice.
	maxRenewals = 100_000
)

// renewals remember with which passes a renewal was asked for lately.
type renewals struct {
	mu           sync.Mutex
	asked, older map[string]struct{} // by the pass; guarded by mu
	turned       time.Time           // guarded by mu
}

// first says whether nobody has asked with this pass lately.
func (n *renewals) first(id string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if since := now.Sub(n.turned); since >= renewalAgain || n.asked == nil {
		if n.older = n.asked; since >= 2*renewalAgain {
			n.older = nil
		}
		n.asked, n.turned = make(map[string]struct{}), now
	}
	if _, ok := n.asked[id]; ok {
		return false
	}
	if _, ok := n.older[id]; ok {
		return false
	}
	if len(n.asked) < maxRenewals { // beyond it some ask twice
		n.asked[id] = struct{}{}
	}
	return true
}
