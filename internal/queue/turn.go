package queue

import (
	"context"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Claim is a session that a visitor may have a pass for.
type Claim struct {
	At      time.Time // now, by Redis' clock: what ends a session is told apart from what begins one by it
	Expires time.Time // by Redis' clock
	Again   bool      // it had been claimed before; Expires is the same as then
}

// Claim turns the visitor's turn into a session. Its errors are ErrNotYet,
// ErrTurnMissed, ErrNotQueued and ErrUnavailable.
func (q *Queue) Claim(ctx context.Context, v place.Visitor) (Claim, error) {
	keys := []string{q.keys.Room, q.keys.Queue, q.keys.Turn, q.keys.Active}
	got, err := ints(q.eval(ctx, claimScript, keys, v[:]), 3)
	if err != nil {
		return Claim{}, unavailable("claiming", err)
	}
	switch got[0] {
	case 1, 2:
		return Claim{time.UnixMilli(got[2]).UTC(), time.UnixMilli(got[1]).UTC(), got[0] == 2}, nil
	case 3:
		return Claim{}, ErrNotYet
	case 4:
		return Claim{}, ErrTurnMissed
	default:
		return Claim{}, ErrNotQueued
	}
}

// Leave frees the visitor's place or turn at once. Leaving twice is no error.
func (q *Queue) Leave(ctx context.Context, v place.Visitor) error {
	_, err := q.drop(ctx, v, 0)
	return err
}

// Release ends the visitor's session: the slot goes to the next in line, and
// passes given out until then, by Redis' clock, are revoked at every edge within a
// tick.
func (q *Queue) Release(ctx context.Context, v place.Visitor) (then time.Time, err error) {
	return q.drop(ctx, v, 1)
}

func (q *Queue) drop(ctx context.Context, v place.Visitor, revoke int) (time.Time, error) {
	keys := []string{q.keys.Queue, q.keys.Turn, q.keys.Away, q.keys.Active, q.keys.Revoked}
	ms, err := q.eval(ctx, leaveScript, keys, v[:], revoke).Int64()
	if err != nil {
		return time.Time{}, unavailable("leaving", err)
	}
	return time.UnixMilli(ms).UTC(), nil
}
