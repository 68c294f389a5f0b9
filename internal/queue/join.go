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
	Tier    place.Tier
	// Draw is the id of the draw whose lobby the visitor comes into; 0 asks for a
	// live place. Once that draw is frozen it is a live one all the same.
	Draw int64
}

// Placing is what came of an Entry.
type Placing struct {
	State      State
	Score      place.Score // 0 unless State is Waiting; that of everybody in the lobby until the draw
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

// JoinBatch is Join for many at once, in order, in calls of MaxBatch for each part of
// the room. On an error some of them may have places.
func (q *Queue) JoinBatch(ctx context.Context, entries []Entry) ([]Placing, error) {
	out := make([]Placing, len(entries))
	parts := byShard(q, entries, func(e *Entry) place.Visitor { return e.Visitor })
	err := q.each(func(i int, s *shard) error {
		return eachBatch(parts[i], func(some []int) error { return q.joinSome(ctx, s, entries, some, out) })
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// joinSome joins the entries at the given indexes and fills in what came of them.
func (q *Queue) joinSome(ctx context.Context, s *shard, entries []Entry, some []int, out []Placing) error {
	args := make([]any, 1, 1+2*len(some))
	args[0] = s.known.arg()
	for _, i := range some {
		args = append(args, entries[i].Visitor[:], entries[i].kind())
	}
	keys := []string{s.keys.Room, s.keys.Queue, s.keys.Turn, s.keys.Active}
	got, err := ints(q.eval(ctx, joinScript, keys, args...), 4)
	if err != nil {
		return unavailable("joining", err)
	}
	s.known.saw(uint32(got[0]), got[1])
	placings, err := placings(got, len(some))
	if err != nil {
		return unavailable("joining", err)
	}
	for n, i := range some {
		out[i] = placings[n]
		if q.Shards() > 1 { // a rank in one part says nothing
			out[i].Position = 0
		}
	}
	return nil
}

// kind is the entry's kind as join.lua reads it.
func (e *Entry) kind() string {
	tier := string('0' + byte(e.Tier))
	if e.Draw == 0 {
		return "L" + tier
	}
	return "U" + tier + ":" + strconv.FormatInt(e.Draw, 10)
}

// placings reads the reply of join.lua for n entries.
func placings(got []int64, n int) ([]Placing, error) {
	out := make([]Placing, n)
	generation, base := uint32(got[0]), got[2]
	if base >= 0 {
		if len(got) != 4 {
			return nil, errReply
		}
		for i := range out {
			out[i] = Placing{Waiting, place.Score(base + int64(i)), generation, true, int(got[3]) + i + 1}
		}
		return out, nil
	}
	if len(got) != 3+2*n {
		return nil, errReply
	}
	for i := range out {
		state, score := got[3+2*i], place.Score(got[4+2*i])
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
