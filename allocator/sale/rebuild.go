package sale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// rebuildTimeout bounds one rebuild: 50,000 cells take about half a second.
const rebuildTimeout = 30 * time.Second

// withLocks does something with the locks of an event, and rebuilds them first if
// they are gone or older than the event's epoch. It tries twice at most.
func (s *Sale) withLocks(ctx context.Context, e *allocator.Event, do func(e *allocator.Event) error) error {
	err := do(e)
	if !errors.Is(err, allocator.ErrEpoch) {
		return err
	}
	current, err := s.rebuilt(ctx, e)
	if err != nil {
		return err
	}
	return do(current)
}

// Rebuild puts the locks of an event back from the database, if nobody has yet.
func (s *Sale) Rebuild(ctx context.Context, e *allocator.Event) error {
	_, err := s.rebuilt(ctx, e)
	return err
}

// rebuilt returns the event with locks that are there. However many ask at once,
// one of this process does the work; of several processes the last epoch wins,
// and the others find its locks.
func (s *Sale) rebuilt(ctx context.Context, e *allocator.Event) (*allocator.Event, error) {
	v, err, _ := s.rebuilds.Do(e.Slug, func() (any, error) {
		// Not cut short by the one fan who happened to be first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rebuildTimeout)
		defer cancel()
		return s.rebuild(ctx, e)
	})
	if err != nil {
		return nil, err
	}
	return v.(*allocator.Event), nil
}

func (s *Sale) rebuild(ctx context.Context, stale *allocator.Event) (*allocator.Event, error) {
	e, err := s.fresh(ctx, stale.Slug)
	if err != nil {
		return nil, err
	}
	if e.Epoch > stale.Epoch { // somebody has rebuilt them, or is about to
		if _, err := s.deps.Locks.Counts(ctx, e); !errors.Is(err, allocator.ErrEpoch) {
			return e, err
		}
	}
	begun := s.deps.Clock.Now()
	if _, err := s.deps.Store.BumpEpoch(ctx, e.ID); err != nil {
		return nil, err
	}
	if e, err = s.fresh(ctx, e.Slug); err != nil {
		return nil, err
	}
	cells, err := s.deps.Store.Cells(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	// Read after the epoch was raised: a claim that is committed later belongs to a
	// hold of the epoch before, which the locks do not know any more, and the
	// database alone decides about it.
	taken, err := s.deps.Store.Taken(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	err = s.deps.Locks.Rebuild(ctx, e, cells, taken)
	if errors.Is(err, allocator.ErrEpoch) { // another process was later, and won
		return s.fresh(ctx, e.Slug)
	}
	if err != nil {
		return nil, fmt.Errorf("rebuilding the locks of %s: %w", e.Slug, err)
	}
	s.metrics.rebuilds.Inc()
	s.deps.Log.Warn("the seat locks were gone and have been rebuilt from the database; seats that were only held are free again",
		"event", e.Slug, "epoch", e.Epoch, "cells", len(cells), "taken", len(taken), "took", s.deps.Clock.Now().Sub(begun))
	return e, nil
}
