package sale_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func TestARebuildThatComesLateLeavesGoodLocksAlone(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	before, err := h.store.Event(t.Context(), h.Slug)
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []*allocator.Event{h.Event, before} { // whoever asks knew the old epoch, or the new one
		if err := h.Rebuild(t.Context(), known); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := h.store.Event(t.Context(), h.Slug); err != nil || after.Epoch != before.Epoch {
		t.Errorf("the epoch went from %d to %d (%v)", before.Epoch, after.Epoch, err)
	}
	if again, err := h.GetHold(t.Context(), held.ID, "ann"); err != nil || again.Fence != held.Fence {
		t.Errorf("a hold was lost: %+v, %v", again, err)
	}
	h.check()
}

// Losing locks is worth a warning; making the first ones is not.
func TestTheFirstLocksOfAnEventAreNoLoss(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	var log bytes.Buffer
	h.deps.Log = slog.New(slog.NewTextHandler(&log, nil))
	h.Sale = sale.New(h.deps)
	for _, want := range []string{`level=INFO msg="the seat locks of a new event were made" event=` + h.Slug, "level=WARN msg=\"the seat locks were gone"} {
		log.Reset()
		if err := h.Rebuild(t.Context(), h.Event); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); !strings.Contains(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := h.redis.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// raisingStore tells when an epoch is about to be raised.
type raisingStore struct {
	allocator.Store
	before func()
}

func (r *raisingStore) RaiseEpoch(ctx context.Context, eventID, from int64) (bool, error) {
	r.before()
	return r.Store.RaiseEpoch(ctx, eventID, from)
}

func TestWhoIsSecondToRaiseTheEpochWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	begun, waits := make(chan struct{}), make(chan struct{})
	var release sync.Once
	end := func() { release.Do(func() { close(waits) }) }
	defer end()
	first, second := h.deps, h.deps
	var warm atomic.Bool
	first.Locks = &watchedLocks{Locks: h.locks, look: func() {}, begin: func() {
		if warm.Load() {
			close(begun)
			<-waits
		}
	}}
	a := sale.New(first)
	var one sync.WaitGroup
	var raising atomic.Bool
	second.Store = &raisingStore{Store: h.store, before: func() {
		one.Go(func() {
			if _, err := a.Hold(context.WithoutCancel(t.Context()), h.Slug, "ann", "k", want(0)); err != nil {
				t.Errorf("the first: %v", err)
			}
		})
		<-begun // the first has raised it and is about to build
		raising.Store(true)
	}}
	second.Locks = &watchedLocks{Locks: h.locks, begin: func() {}, look: func() {
		if raising.Load() {
			end()
		}
	}}
	b := sale.New(second)
	for _, s := range []*sale.Sale{a, b} {
		if _, err := s.Hold(t.Context(), h.Slug, "early", "k", want(9)); err != nil {
			t.Fatal(err)
		}
	}
	warm.Store(true)
	if err := h.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Hold(t.Context(), h.Slug, "bob", "k", want(1)); err != nil {
		t.Errorf("the second: %v", err)
	}
	end()
	one.Wait()
	h.check()
}
