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

// Vouch is an edge's word for a turn that Redis may have lost. The zero value is none.
type Vouch struct {
	Until   time.Time     // when the turn ends
	Session time.Duration // of a room whose settings are lost too
}

// Claim turns the visitor's turn into a session; a turn that Redis does not know
// counts if it is vouched for. Its errors are ErrNotYet, ErrTurnMissed,
// ErrNotQueued and ErrUnavailable.
func (q *Queue) Claim(ctx context.Context, v place.Visitor, vouch Vouch) (Claim, error) {
	s, until := q.of(v), int64(0)
	if !vouch.Until.IsZero() {
		until = vouch.Until.UnixMilli()
	}
	keys := []string{s.keys.Room, s.keys.Queue, s.keys.Turn, s.keys.Active}
	got, err := ints(q.eval(ctx, claimScript, keys, v[:], until, vouch.Session.Milliseconds()), 3)
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

// Session is what a pass says of its visitor.
type Session struct {
	Visitor place.Visitor
	Expires time.Time
}

// ResumeSessions counts sessions again that Redis may have lost: without them more
// than the cap would be inside.
func (q *Queue) ResumeSessions(ctx context.Context, sessions []Session) error {
	parts := byShard(q, sessions, func(s *Session) place.Visitor { return s.Visitor })
	return q.each(func(i int, s *shard) error {
		return eachBatch(parts[i], func(some []int) error {
			args := make([]any, 0, 2*len(some))
			for _, i := range some {
				args = append(args, sessions[i].Visitor[:], sessions[i].Expires.UnixMilli())
			}
			keys := []string{s.keys.Active, s.keys.Revoked}
			return unavailableOrNil("counting sessions again", q.eval(ctx, resumeScript, keys, args...).Err())
		})
	})
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
	s := q.of(v)
	keys := []string{s.keys.Queue, s.keys.Turn, s.keys.Away, s.keys.Active, s.keys.Revoked}
	ms, err := q.eval(ctx, leaveScript, keys, v[:], revoke).Int64()
	if err != nil {
		return time.Time{}, unavailable("leaving", err)
	}
	return time.UnixMilli(ms).UTC(), nil
}
