package sale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

const (
	// rebuildTimeout bounds one rebuild: 50,000 cells take about half a second.
	rebuildTimeout = 30 * time.Second
	// rebuildPatience is how long another process is given to finish a rebuild that
	// it has begun, before it is taken for dead. Without it several would undo each
	// other's work for ever.
	rebuildPatience = 5 * time.Second
	rebuildPoll     = 50 * time.Millisecond
)

// withLocks does something with the locks of an event, and rebuilds them first if
// they are gone or older than the event's epoch. It tries twice at most.
func (s *Sale) withLocks(ctx context.Context, e *allocator.Event, do func(e *allocator.Event) error) error {
	err := do(e)
	if !errors.Is(err, allocator.ErrEpoch) {
		if !errors.Is(err, allocator.ErrUnavailable) {
			s.noteGood(e)
		}
		return err
	}
	current, err := s.rebuilt(ctx, e)
	if err != nil {
		return err
	}
	return do(current)
}

// noteGood remembers that the locks of an event were there in its epoch.
func (s *Sale) noteGood(e *allocator.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.good[e.Slug] >= e.Epoch {
		return
	}
	if len(s.good) >= maxEvents {
		clear(s.good)
	}
	s.good[e.Slug] = e.Epoch
}

// everGood says whether the locks of an event were there in its epoch, so that they
// are lost if they are not; else another process may be making them. Nobody makes
// any for the first epoch.
func (s *Sale) everGood(e *allocator.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.Epoch <= max(1, s.good[e.Slug])
}

// Rebuild puts the locks of an event back from the database, if nobody has yet.
func (s *Sale) Rebuild(ctx context.Context, e *allocator.Event) error {
	_, err := s.rebuilt(ctx, e)
	return err
}

// rebuilt returns the event with locks that are there. However many ask at once,
// one of this process does the work; of several processes the one that raised the
// epoch, and the others wait for it.
func (s *Sale) rebuilt(ctx context.Context, e *allocator.Event) (*allocator.Event, error) {
	v, err, _ := s.rebuilds.Do(e.Slug, func() (any, error) {
		// Not cut short by the one fan who happened to be first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rebuildTimeout)
		defer cancel()
		return s.rebuild(ctx, e.Slug)
	})
	if err != nil {
		return nil, err
	}
	return v.(*allocator.Event), nil
}

func (s *Sale) rebuild(ctx context.Context, slug string) (*allocator.Event, error) {
	e, err := s.fresh(ctx, slug)
	if err != nil {
		return nil, err
	}
	if s.everGood(e) {
		_, err = s.deps.Locks.Counts(ctx, e) // somebody may just have finished
	} else {
		err = s.awaitRebuild(ctx, e)
	}
	if !errors.Is(err, allocator.ErrEpoch) {
		return e, err
	}
	begun := s.deps.Clock.Now()
	first := e.Epoch == 1 // nobody makes locks for this epoch, so there never were any
	raised, err := s.deps.Store.RaiseEpoch(ctx, e.ID, e.Epoch)
	if err != nil {
		return nil, err
	}
	if e, err = s.fresh(ctx, slug); err != nil {
		return nil, err
	}
	if !raised { // another process was first
		return e, s.awaitRebuild(ctx, e)
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
	if errors.Is(err, allocator.ErrEpoch) { // another process was later, and wins
		if e, err = s.fresh(ctx, e.Slug); err != nil {
			return nil, err
		}
		return e, s.awaitRebuild(ctx, e)
	}
	if err == nil {
		err = s.catchUp(ctx, e, taken)
	}
	if err != nil {
		return nil, fmt.Errorf("rebuilding the locks of %s: %w", e.Slug, err)
	}
	s.noteGood(e)
	s.metrics.rebuilds.Inc()
	log, what := s.deps.Log.Warn, "the seat locks were gone and have been rebuilt from the database; seats that were only held are free again"
	if first && len(taken) == 0 {
		log, what = s.deps.Log.Info, "the seat locks of a new event were made"
	}
	log(what, "event", e.Slug, "epoch", e.Epoch, "cells", len(cells), "taken", len(taken), "took", s.deps.Clock.Now().Sub(begun))
	return e, nil
}

// awaitRebuild waits until the locks of an event are there, as another process is
// making them. ErrEpoch: it seems to have died.
func (s *Sale) awaitRebuild(ctx context.Context, e *allocator.Event) error {
	patience, cancel := context.WithTimeout(ctx, rebuildPatience)
	defer cancel()
	poll := time.NewTicker(rebuildPoll)
	defer poll.Stop()
	for {
		_, err := s.deps.Locks.Counts(ctx, e)
		if !errors.Is(err, allocator.ErrEpoch) {
			return err
		}
		select {
		case <-poll.C:
		case <-patience.Done():
			return err
		}
	}
}

// catchUp brings to new locks what the database decided while they were built: its
// orders may have been carried out on the old ones.
func (s *Sale) catchUp(ctx context.Context, e *allocator.Event, before []allocator.Taken) error {
	after, err := s.deps.Store.Taken(ctx, e.ID)
	if err != nil {
		return err
	}
	now := make(map[string]allocator.Taken, len(after)) // by cell
	for _, t := range after {
		now[t.Cell] = t
	}
	sold := make(map[string]bool, len(before))
	freed := make(map[string]bool) // by hold
	for _, t := range before {
		sold[t.Cell] = t.Booked
		if now[t.Cell].HoldID != t.HoldID {
			freed[t.HoldID] = true
		}
	}
	for hold := range freed {
		if err := s.deps.Locks.EndPayment(ctx, e, hold, time.Time{}); err != nil {
			return err
		}
	}
	booked := make(map[string][]string) // cells by hold
	for _, t := range after {
		if t.Booked && !sold[t.Cell] {
			booked[t.HoldID] = append(booked[t.HoldID], t.Cell)
		}
	}
	for hold, cells := range booked {
		if err := s.deps.Locks.Book(ctx, e, hold, cells); err != nil {
			return err
		}
	}
	return nil
}
