package room

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// passesThrough says whether a visitor may find the door open: in a room without an
// opening time, and in one that gives no places, where there is no other way in. A
// room that is split always queues: it would take a call to each part to know that nobody waits.
func (c *Config) passesThrough() bool {
	return !c.QueueAll && c.Queue.Shards <= 1 && (c.Opens.IsZero() || c.Method == Reject)
}

// PassesThrough says whether Enter can let anybody in.
func (r *Room) PassesThrough() bool { return r.cfg.Load().passesThrough() }

// Enter lets a visitor straight through who finds nobody waiting and room inside.
// One call to Redis decides; none is made where this edge knows the answer. Its
// errors are queue.ErrNoRoom, queue.ErrNotYet for a visitor with a place or a turn,
// and queue.ErrUnavailable. The way of the queue is open after each of them.
func (r *Room) Enter(ctx context.Context, tok place.Token) (Claim, error) {
	if !r.worthAsking(tok) {
		return Claim{}, queue.ErrNoRoom
	}
	got, err := r.queue.Enter(ctx, tok.Visitor)
	switch {
	case err == nil:
		return r.session(ctx, tok.Visitor, got), nil
	case away(err), errors.Is(err, queue.ErrNoRoom):
		r.mu.Lock()
		r.door.shut = true
		r.mu.Unlock()
	}
	return Claim{}, err
}

func (r *Room) worthAsking(tok place.Token) bool {
	v := r.View()
	if !r.PassesThrough() || v.State != Open || v.Unwell || v.Waiting > 0 || v.Waits(tok) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.door.ask(&r.last, r.limitLocked(), r.nowLocked())
}

// door keeps a rush from becoming calls to Redis: between two ticks this edge asks
// no more often than could succeed, and not at all once it was refused.
type door struct {
	tick  time.Time // of the tick that the rest is about
	asked int
	shut  bool // Redis said no, or nothing
}

// ask says whether one more visitor may try, given how the room stood at the last
// tick. Sessions that end in between are seen with the next one.
func (d *door) ask(t *queue.Tick, limit int, now time.Time) bool {
	if !d.tick.Equal(t.Now) {
		*d = door{tick: t.Now}
	}
	s := &t.Settings
	most := s.Burst + int(float64(s.Rate)*float64(max(0, now.Sub(t.Now)))/float64(max(1, s.Per)))
	most = min(most, s.Active-t.Active-t.Turns)
	if limit >= 0 {
		most = min(most, limit)
	}
	if d.shut || d.asked >= most {
		return false
	}
	d.asked++
	return true
}

const (
	retryLeast = 10 * time.Second
	retryMost  = time.Minute
)

// Waits says whether a token stands for a place whose turn is still to come.
func (v *View) Waits(tok place.Token) bool { return tok.Placed() && !v.Passed(tok.Score) }

// RetryAfter is when it is worth coming back to a room that gives no places: when
// the rate has let in one more.
func (v *View) RetryAfter() time.Duration {
	if v.Settings.Rate <= 0 {
		return retryMost
	}
	return min(max(v.Settings.Per/time.Duration(v.Settings.Rate), retryLeast), retryMost)
}
