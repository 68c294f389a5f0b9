package sale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// cachedEvent is an event as the store had it a moment ago.
type cachedEvent struct {
	event *allocator.Event
	read  time.Time
}

const (
	// eventFresh is how long an event's phase and epoch are believed without asking.
	eventFresh = time.Second
	// eventStale is how long they are believed when the store does not answer.
	eventStale = 10 * time.Minute
	// eventPatience is how long the store is waited for when there is something to
	// believe: a database that hangs must not make every hold hang.
	eventPatience = 250 * time.Millisecond
	// eventTimeout bounds a read.
	eventTimeout = 5 * time.Second
	// maxEvents bounds the memory for them.
	maxEvents = 1000
)

// Event finds an event, about a second old; older while the store is away, so that
// seats can still be held. However many ask, the store is asked once at a time.
// Errors: ErrEventUnknown, ErrUnavailable.
func (s *Sale) Event(ctx context.Context, slug string) (*allocator.Event, error) {
	if !isSlug(slug) {
		return nil, allocator.ErrEventUnknown
	}
	now := s.deps.Clock.Now()
	s.mu.Lock()
	known, usable := s.events[slug]
	s.mu.Unlock()
	if usable && now.Sub(known.read) < eventFresh {
		return known.event, nil
	}
	usable = usable && now.Sub(known.read) < eventStale
	read := s.reads.DoChan(slug, func() (any, error) {
		// Not cut short by the one who happened to be first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), eventTimeout)
		defer cancel()
		return s.fresh(ctx, slug)
	})
	var late <-chan time.Time
	if usable {
		timer := time.NewTimer(eventPatience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case r := <-read:
		if usable && errors.Is(r.Err, allocator.ErrUnavailable) {
			return known.event, nil
		}
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*allocator.Event), nil
	case <-late:
		return known.event, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("reading event %s: %w: %w", slug, allocator.ErrUnavailable, ctx.Err())
	}
}

// fresh reads an event from the store.
func (s *Sale) fresh(ctx context.Context, slug string) (*allocator.Event, error) {
	e, err := s.deps.Store.Event(ctx, slug)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) >= maxEvents {
		clear(s.events)
	}
	s.events[slug] = cachedEvent{e, s.deps.Clock.Now()}
	return e, nil
}

// isSlug says whether a text can be the name of an event at all: whatever else
// strangers ask for costs no call.
func isSlug(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Categories are the prices of an event, read once: they never change.
func (s *Sale) Categories(ctx context.Context, e *allocator.Event) ([]allocator.Category, error) {
	s.mu.Lock()
	known, ok := s.prices[e.ID]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	prices, err := s.deps.Store.Categories(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.prices) >= maxEvents {
		clear(s.prices)
	}
	s.prices[e.ID] = prices
	return prices, nil
}
