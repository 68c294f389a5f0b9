package room

import (
	"context"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// Links is what a room needs of its queue for signed links that are good for one
// use. It is part of Queue.
type Links interface {
	EnterBy(ctx context.Context, l queue.Link, v place.Visitor) (queue.Claim, error)
	PlaceBy(ctx context.Context, l queue.Link, v place.Visitor, tier place.Tier, draw int64) (queue.Placing, error)
	Spend(ctx context.Context, l queue.Link, v place.Visitor) error
	Guests(ctx context.Context) (map[string]int, error)
}

// A link needs Redis, which alone knows whether it has been used: what nobody can
// tell is refused, with queue.ErrUnavailable and at once, and nothing is used up.

// Invite lets a guest in past the queue. An invitation opens no door that is shut:
// not before the room's time nor after it, not while it is paused or the site is unwell,
// and not beyond the cap. Its errors are those of queue.EnterBy, ErrNotOpenYet, ErrSoldOut and
// ErrClosed.
func (r *Room) Invite(ctx context.Context, tok place.Token, l queue.Link) (Claim, error) {
	v := r.View()
	switch {
	case v.State == Closed:
		return Claim{}, ErrClosed
	case v.State == SoldOut:
		return Claim{}, ErrSoldOut
	case v.State == Paused || v.Unwell:
		return Claim{}, queue.ErrPaused
	case v.State != Open:
		return Claim{}, ErrNotOpenYet
	case v.Degraded:
		return Claim{}, queue.ErrUnavailable
	case r.used.byOther(l.ID, tok.Visitor):
		return Claim{}, queue.ErrSpent
	}
	got, err := r.queue.EnterBy(ctx, l, tok.Visitor)
	if err != nil {
		return Claim{}, err
	}
	r.orphans.drop(tok.Visitor) // or an outage that is just over would bring the place back
	r.spent.note(tok.Visitor, got.At, v.Settings.ClaimWithin)
	if !got.Again {
		r.used.note(l, tok.Visitor, got.At)
	}
	return r.session(ctx, tok.Visitor, got), nil
}

// InviteTo gives a guest a place in a tier, or finds the one it has: see
// queue.PlaceBy. A guest may come whenever others may.
func (r *Room) InviteTo(ctx context.Context, tok place.Token, l queue.Link, tier place.Tier) (Joined, error) {
	v := r.View()
	switch {
	case v.State == Closed:
		return Joined{}, ErrClosed
	case v.State == SoldOut:
		return Joined{}, ErrSoldOut
	case v.State == Scheduled:
		return Joined{}, ErrNotOpenYet
	case v.Degraded:
		return Joined{}, queue.ErrUnavailable
	case r.used.byOther(l.ID, tok.Visitor):
		return Joined{}, queue.ErrSpent
	}
	placing, err := r.queue.PlaceBy(ctx, l, tok.Visitor, tier, r.lobbyOf(v))
	if err != nil {
		return Joined{}, err
	}
	r.orphans.drop(tok.Visitor)
	if placing.Fresh {
		r.used.note(l, tok.Visitor, r.Now())
	}
	if placing.Fresh || tok.Joined.IsZero() {
		tok.Joined = r.Now().Truncate(time.Microsecond)
	}
	tok.Generation = placing.Generation
	if placing.Score != 0 {
		tok.Score = placing.Score
	}
	return Joined{Token: tok, State: placing.State, Fresh: placing.Fresh}, nil
}

// Spend uses up a link that gives nothing of the queue.
func (r *Room) Spend(ctx context.Context, v place.Visitor, l queue.Link) error {
	if r.View().Degraded {
		return queue.ErrUnavailable
	}
	return r.queue.Spend(ctx, l, v)
}

// Guests says how many invitations have been used, by their names.
func (r *Room) Guests(ctx context.Context) (map[string]int, error) { return r.queue.Guests(ctx) }
