package sale_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// slowStore is a store that answers about events when the test lets it.
type slowStore struct {
	allocator.Store
	reads atomic.Int64
	gate  func(ctx context.Context)
}

func (s *slowStore) Event(ctx context.Context, slug string) (*allocator.Event, error) {
	s.reads.Add(1)
	if s.gate != nil {
		s.gate(ctx)
	}
	return s.Store.Event(ctx, slug)
}

// slowed has a hall read its event through a slow store.
func (h *hall) slowed() *slowStore {
	s := &slowStore{Store: h.store}
	h.deps.Store = s
	h.Sale = sale.New(h.deps)
	return s
}

func TestACrowdCostsOneReadOfTheEvent(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	store := h.slowed()
	const fans = 200
	var asking atomic.Int64
	all := make(chan struct{})
	store.gate = func(context.Context) { <-all } // until everybody has asked
	_, failed := crowd(fans, func(int) (*allocator.Event, error) {
		if asking.Add(1) == fans {
			close(all)
		}
		return h.Sale.Event(t.Context(), h.Slug)
	})
	if len(failed) > 0 {
		t.Error(failed[0])
	}
	if n := store.reads.Load(); n > 2 { // one more by those who came when the first was just over
		t.Errorf("%d fans made %d reads", fans, n)
	}
	store.gate = nil
	h.clock.Advance(2 * time.Second)
	if _, err := h.Sale.Event(t.Context(), h.Slug); err != nil || store.reads.Load() < 2 {
		t.Errorf("what was read two seconds ago is still believed: %v", err)
	}
}

func TestADatabaseThatHangsDoesNotKeepFansFromHolding(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	store := h.slowed()
	h.hold("ann", "k", want(0))
	hung := make(chan struct{})
	defer close(hung)
	store.gate = func(context.Context) { <-hung }
	before := store.reads.Load()
	h.clock.Advance(2 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // a read is given up after 5 s
	defer cancel()
	for i := range 3 {
		if _, err := h.Hold(ctx, h.Slug, "bob", seat(i), want(i+1)); err != nil {
			t.Fatalf("hold %d: %v", i, err)
		}
	}
	if n := store.reads.Load() - before; n != 1 {
		t.Errorf("a store that hangs was asked %d times", n)
	}
	h.clock.Advance(10 * time.Minute) // what is that old is not believed any more
	if _, err := h.Hold(ctx, h.Slug, "bob", "late", want(9)); !errors.Is(err, allocator.ErrUnavailable) {
		t.Errorf("held by what was read ten minutes ago: %v", err)
	}
}

func TestWhatCannotBeAnEventCostsNothing(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	store := h.slowed()
	for _, slug := range []string{"", "Hall", "hall/2", "hall_2", "hall\x00", "hällchen", strings.Repeat("h", 65)} {
		if _, err := h.Sale.Event(t.Context(), slug); !errors.Is(err, allocator.ErrEventUnknown) {
			t.Errorf("%q: %v", slug, err)
		}
	}
	if n := store.reads.Load(); n != 0 {
		t.Errorf("it cost %d reads", n)
	}
	if _, err := h.Sale.Event(t.Context(), "nowhere"); !errors.Is(err, allocator.ErrEventUnknown) || store.reads.Load() != 1 {
		t.Errorf("an event that there is not: %v", err)
	}
}
