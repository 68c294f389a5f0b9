package queue

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// ErrNoRoom says that a visitor cannot go straight through: somebody waits, the
// rate has no admission left at this moment, the cap is reached, or the room is
// paused.
var ErrNoRoom = errors.New("no room to go straight through")

// Enter begins a session for a visitor who has no place, if nobody waits and rate
// and cap have room. It takes what an admission by Tick would take, so that both
// together stay within them (Q6), and never passes somebody who waits (Q1). A
// visitor who has a session gets it again, with Again set; one who has a place or a turn
// is left to it.
//
// Its errors are ErrNoRoom, ErrNotYet for a visitor with a place or a turn, and
// ErrUnavailable. When the answer was lost, asking again finds the session.
func (q *Queue) Enter(ctx context.Context, v place.Visitor) (Claim, error) {
	if q.Shards() > 1 { // no script sees whether somebody waits in another shard
		return Claim{}, ErrNoRoom
	}
	s := q.first()
	keys := []string{s.keys.Room, s.keys.Queue, s.keys.Turn, s.keys.Active, s.keys.Edges, s.keys.Unwell}
	got, err := ints(q.eval(ctx, enterScript, keys, v[:]), 3)
	if err != nil {
		return Claim{}, unavailable("entering", err)
	}
	switch got[0] {
	case 1, 2:
		return Claim{At: time.UnixMilli(got[2]).UTC(), Expires: time.UnixMilli(got[1]).UTC(), Again: got[0] == 2}, nil
	case 3:
		return Claim{}, ErrNotYet
	case 4:
		return Claim{}, ErrNoRoom
	default:
		return Claim{}, unavailable("entering", errReply)
	}
}
