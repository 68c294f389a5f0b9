package queue

import (
	"context"
	"strconv"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// State is where a visitor stands in the room.
type State uint8

// The states of a visitor who asked to join.
const (
	Waiting State = iota + 1
	Turn          // admitted; the pass is waiting to be claimed
	Active        // has a pass
	Refused       // the queue is full
)

// Entry asks for a place.
type Entry struct {
	Visitor place.Visitor
	// Score is that of a drawn place; 0 asks for a live one.
	Score place.Score
	// Deprioritised gives a place behind all others.
	Deprioritised bool
}

// Placing is what came of an Entry.
type Placing struct {
	State      State
	Score      place.Score // 0 unless State is Waiting
	Generation uint32
	Fresh      bool // the place is new; else it was there before
	Position   int  // of a new live place, exact; 0 where it was not looked up
}

// MaxBatch is the most entries of one script call. Lua unpacks at most about
// 8,000 values; 512 entries are 1,024, and hold Redis up for about a millisecond.
const MaxBatch = 512

// Join gives the visitor a place, or finds the one it has (Q4). Callers within
// the same two milliseconds share one call to Redis. When ctx ends first the
// place may have been given all the same; asking again finds it.
func (q *Queue) Join(ctx context.Context, e Entry) (Placing, error) { return q.joins.join(ctx, e) }

// JoinBatch is Join for many at once, in order, in calls of MaxBatch. On an
// error some of them may have places.
func (q *Queue) JoinBatch(ctx context.Context, entries []Entry) ([]Placing, error) {
	out := make([]Placing, 0, len(entries))
	for len(entries) > 0 {
		n := min(len(entries), MaxBatch)
		placings, err := q.joinSome(ctx, entries[:n])
		if err != nil {
			return nil, err
		}
		out, entries = append(out, placings...), entries[n:]
	}
	return out, nil
}

func (q *Queue) joinSome(ctx context.Context, entries []Entry) ([]Placing, error) {
	args := make([]any, 0, 2*len(entries))
	for i := range entries {
		args = append(args, entries[i].Visitor[:], entries[i].kind())
	}
	keys := []string{q.keys.Room, q.keys.Queue, q.keys.Turn, q.keys.Active}
	got, err := ints(q.eval(ctx, joinScript, keys, args...), 2)
	if err != nil {
		return nil, unavailable("joining", err)
	}
	return placings(got, len(entries))
}

// kind is the entry's kind as join.lua reads it.
func (e *Entry) kind() any {
	switch {
	case e.Deprioritised:
		return "D"
	case e.Score == 0:
		return "L"
	default:
		return strconv.FormatUint(uint64(e.Score), 10)
	}
}

// placings reads the reply of join.lua for n entries.
func placings(got []int64, n int) ([]Placing, error) {
	out := make([]Placing, n)
	generation, base := uint32(got[0]), got[1]
	if base >= 0 {
		if len(got) != 3 {
			return nil, errReply
		}
		for i := range out {
			out[i] = Placing{Waiting, place.Score(base + int64(i)), generation, true, int(got[2]) + i + 1}
		}
		return out, nil
	}
	if len(got) != 2+2*n {
		return nil, errReply
	}
	for i := range out {
		state, score := got[2+2*i], place.Score(got[3+2*i])
		switch state {
		case 1, 2:
			out[i] = Placing{State: Waiting, Score: score, Generation: generation, Fresh: state == 1}
		case 3:
			out[i] = Placing{State: Turn, Generation: generation}
		case 4:
			out[i] = Placing{State: Active, Generation: generation}
		case 5:
			out[i] = Placing{State: Refused, Generation: generation}
		default:
			return nil, errReply
		}
	}
	return out, nil
}
