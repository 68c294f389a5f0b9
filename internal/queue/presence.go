package queue

import (
	"context"
	"strconv"
	"sync/atomic"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Away notes that visitors' connections are gone. A place that stays away for
// longer than Settings.AbandonAfter is dropped by a later tick.
func (q *Queue) Away(ctx context.Context, visitors []place.Visitor) error {
	return q.eachPart(visitors, func(s *shard, some []any) error {
		return unavailableOrNil("noting who is away", q.eval(ctx, awayScript, []string{s.keys.Away}, some...).Err())
	})
}

// Back takes visitors out of those who are away.
func (q *Queue) Back(ctx context.Context, visitors []place.Visitor) error {
	return q.eachPart(visitors, func(s *shard, some []any) error {
		return unavailableOrNil("noting who is back", q.rdb.ZRem(ctx, s.keys.Away, some...).Err())
	})
}

// AwayNow lists up to limit visitors who are noted as away, longest first. An
// edge that finds its own fans among them takes them Back: a note of one edge
// that lost a connection can come after the fan is parked at another.
func (q *Queue) AwayNow(ctx context.Context, limit int) ([]place.Visitor, error) {
	var out []place.Visitor
	for _, s := range q.all() {
		got, err := q.rdb.ZRange(ctx, s.keys.Away, 0, int64(limit/q.Shards())-1).Result()
		if err != nil {
			return nil, unavailable("reading who is away", err)
		}
		out = append(out, visitors(got)...)
	}
	return out, nil
}

// visitors reads members of a sorted set.
func visitors(members []string) []place.Visitor {
	out := make([]place.Visitor, 0, len(members))
	for _, member := range members {
		if len(member) == len(place.Visitor{}) {
			out = append(out, place.Visitor([]byte(member)))
		}
	}
	return out
}

// Place is a visitor with the score of its place.
type Place struct {
	Visitor place.Visitor
	Score   place.Score
}

// Reenter puts places back at their scores after a loss (Q5) and says how many
// of them are in the queue now. Places at or below the highest front of their
// tier that this Queue has seen, and those whose visitor has a turn or a session,
// stay out: they have been spent.
func (q *Queue) Reenter(ctx context.Context, places []Place) (int, error) {
	var entered atomic.Int64
	parts := byShard(q, places, func(p *Place) place.Visitor { return p.Visitor })
	err := q.each(func(i int, s *shard) error {
		keys := []string{s.keys.Room, s.keys.Queue, s.keys.Turn, s.keys.Active}
		return eachBatch(parts[i], func(some []int) error {
			args := make([]any, 1, 1+2*len(some))
			args[0] = s.known.arg()
			for _, i := range some {
				args = append(args, places[i].Visitor[:], strconv.FormatUint(uint64(places[i].Score), 10))
			}
			got, err := ints(q.eval(ctx, reenterScript, keys, args...), 3)
			if err != nil {
				return unavailable("entering places again", err)
			}
			s.known.saw(uint32(got[0]), got[1])
			entered.Add(got[2])
			return nil
		})
	})
	return int(entered.Load()), err
}

// eachPart calls f with the visitors of each part, MaxBatch at most at a time.
func (q *Queue) eachPart(visitors []place.Visitor, f func(s *shard, some []any) error) error {
	parts := byShard(q, visitors, func(v *place.Visitor) place.Visitor { return *v })
	return q.each(func(i int, s *shard) error {
		return eachBatch(parts[i], func(some []int) error {
			members := make([]any, len(some))
			for n, i := range some {
				members[n] = visitors[i][:]
			}
			return f(s, members)
		})
	})
}

func eachBatch[T any](all []T, do func([]T) error) error {
	for len(all) > 0 {
		n := min(len(all), MaxBatch)
		if err := do(all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

func unavailableOrNil(doing string, err error) error {
	if err == nil {
		return nil
	}
	return unavailable(doing, err)
}
