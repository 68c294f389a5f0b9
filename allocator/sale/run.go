package sale

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

const (
	sweepEvery   = time.Second
	sweepLimit   = 2000
	recoverEvery = 3 * time.Second
	outboxIdle   = 250 * time.Millisecond
	roundTimeout = 2 * time.Minute
)

// Run sweeps ended holds, works the outbox and recovers what stands still, until
// ctx ends. A round that fails is tried again; none stops the process.
func (s *Sale) Run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { s.every(ctx, "sweep", sweepEvery, sweepLimit, s.sweep) })
	loops.Go(func() { s.every(ctx, "recover", recoverEvery, recoverBatch, s.Recover) })
	loops.Go(func() { s.every(ctx, "outbox", outboxIdle, outboxBatch, s.WorkOutbox) })
	loops.Wait()
}

// every runs a round again and again: at once after a full one, as there is more to
// do, else after a pause that is spread, so that several processes do not march in
// step.
func (s *Sale) every(ctx context.Context, name string, pause time.Duration, full int, round func(context.Context) (int, error)) {
	troubled := false
	for ctx.Err() == nil {
		call, cancel := context.WithTimeout(ctx, roundTimeout)
		n, err := round(call)
		cancel()
		if (err != nil) != troubled && ctx.Err() == nil { // once per trouble, not once per round
			troubled = err != nil
			if troubled {
				s.deps.Log.Warn("background work fails and goes on trying", "work", name, "error", err)
			} else {
				s.deps.Log.Info("background work goes on", "work", name)
			}
		}
		wait := pause/2 + rand.N(pause)
		if n >= full && err == nil {
			wait = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// sweep ends the holds whose time is over, in every event that sells, and says how
// many at most ended in one. An event that cannot be swept stops no other.
func (s *Sale) sweep(ctx context.Context) (int, error) {
	events, err := s.deps.Store.Events(ctx)
	if err != nil {
		return 0, err
	}
	var errs []error
	most := 0
	for _, e := range events {
		if e.Phase == allocator.PhaseDraft {
			continue
		}
		errs = append(errs, s.withLocks(ctx, e, func(e *allocator.Event) error {
			n, err := s.deps.Locks.Sweep(ctx, e, sweepLimit)
			s.metrics.swept.Add(float64(n))
			most = max(most, n)
			return err
		}))
	}
	return most, errors.Join(errs...)
}
