package redislock

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Sweep implements allocator.Locks.
func (l *Locks) Sweep(ctx context.Context, e *allocator.Event, limit int) (int, error) {
	swept := 0
	for swept < limit {
		batch := min(limit-swept, sweepBatch)
		reply, err := l.call(ctx, "sweep", []string{metaKey(e.Slug)}, e.Epoch, batch)
		if err != nil {
			return swept, err
		}
		n, err := strconv.Atoi(reply[0])
		if err != nil {
			return swept, unavailable(fmt.Errorf("reading sweep: %w", err))
		}
		swept += n
		if n < batch {
			break
		}
	}
	return swept, nil
}

// Counts implements allocator.Locks.
func (l *Locks) Counts(ctx context.Context, e *allocator.Event) (allocator.Counts, error) {
	reply, err := l.call(ctx, "counts", []string{metaKey(e.Slug)}, e.Epoch)
	if err != nil {
		return allocator.Counts{}, err
	}
	n := make([]int64, len(reply))
	for i, field := range reply {
		if n[i], err = strconv.ParseInt(field, 10, 64); err != nil {
			return allocator.Counts{}, unavailable(fmt.Errorf("reading counts: %w", err))
		}
	}
	var c allocator.Counts
	if n[0] > 0 {
		c.NextRelease = time.UnixMilli(n[0]).UTC()
	}
	for i := 1; i+2 < len(n); i += 3 {
		one := allocator.Counts{Free: int(n[i]), Held: int(n[i+1]), Booked: int(n[i+2])}
		c.ByCategory = append(c.ByCategory, one)
		c.Free += one.Free
		c.Held += one.Held
		c.Booked += one.Booked
	}
	return c, nil
}
