package queue

import (
	"context"
	"strconv"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Away notes that visitors' connections are gone. A place that stays away for
// longer than Settings.AbandonAfter is dropped by a later tick.
func (q *Queue) Away(ctx context.Context, visitors []place.Visitor) error {
	return eachBatch(visitors, func(some []place.Visitor) error {
		return unavailableOrNil("noting who is away", q.eval(ctx, awayScript, []string{q.keys.Away}, members(some)...).Err())
	})
}

// Back takes visitors out of those who are away.
func (q *Queue) Back(ctx context.Context, visitors []place.Visitor) error {
	return eachBatch(visitors, func(some []place.Visitor) error {
		return unavailableOrNil("noting who is back", q.rdb.ZRem(ctx, q.keys.Away, members(some)...).Err())
	})
}

// AwayNow lists up to limit visitors who are noted as away, longest first. An
// edge that finds its own fans among them takes them Back: a note of one edge
// that lost a connection can come after the fan is parked at another.
func (q *Queue) AwayNow(ctx context.Context, limit int) ([]place.Visitor, error) {
	got, err := q.rdb.ZRange(ctx, q.keys.Away, 0, int64(limit)-1).Result()
	if err != nil {
		return nil, unavailable("reading who is away", err)
	}
	out := make([]place.Visitor, 0, len(got))
	for _, member := range got {
		if len(member) == len(place.Visitor{}) {
			out = append(out, place.Visitor([]byte(member)))
		}
	}
	return out, nil
}

// Place is a visitor with the score of its place.
type Place struct {
	Visitor place.Visitor
	Score   place.Score
}

// Reenter puts places back at their scores after a loss (Q5) and says how many
// of them are in the queue now. Places at or below the highest front that this
// Queue has seen, and those whose
// visitor has a turn or a session, stay out: they have been spent.
func (q *Queue) Reenter(ctx context.Context, places []Place) (int, error) {
	entered := 0
	err := eachBatch(places, func(some []Place) error {
		args := make([]any, 0, 1+2*len(some))
		args = append(args, strconv.FormatUint(q.front.Load(), 10))
		for i := range some {
			args = append(args, some[i].Visitor[:], strconv.FormatUint(uint64(some[i].Score), 10))
		}
		keys := []string{q.keys.Room, q.keys.Queue, q.keys.Turn, q.keys.Active}
		got, err := ints(q.eval(ctx, reenterScript, keys, args...), 2)
		if err != nil {
			return unavailable("entering places again", err)
		}
		entered += int(got[1])
		return nil
	})
	return entered, err
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

func members(visitors []place.Visitor) []any {
	out := make([]any, len(visitors))
	for i := range visitors {
		out[i] = visitors[i][:]
	}
	return out
}

func unavailableOrNil(doing string, err error) error {
	if err == nil {
		return nil
	}
	return unavailable(doing, err)
}
