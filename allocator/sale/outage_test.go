package sale_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func TestLocksThatLoseEverythingComeBackFromTheDatabaseI1I4(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	h.checkout(h.hold("ann", "k", want(0, 1)), "pay", "tok_ok", allocator.BookedState)
	h.settle()
	pending := h.checkout(h.hold("bob", "k", want(2)), "pay", "tok_pending", allocator.Authorising)
	lost := h.hold("cid", "k", want(3))
	if err := h.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []int{0, 1, 2} {
		var conflict *allocator.ConflictError
		if _, err := h.Hold(t.Context(), h.Slug, "eve", fmt.Sprint("k", taken), want(taken)); !errors.As(err, &conflict) {
			t.Errorf("seat %d, sold or being paid for, was held: %v", taken, err)
		}
	}
	if _, err := h.Checkout(t.Context(), lost.ID, "cid", "pay", pays("tok_ok")); !errors.Is(err, allocator.ErrHoldUnknown) {
		t.Errorf("a hold that is lost was paid for: %v", err)
	}
	again := h.hold("cid", "again", want(3))
	if again.Fence <= lost.Fence {
		t.Errorf("the fence went back from %d to %d", lost.Fence, again.Fence)
	}
	h.checkout(again, "pay", "tok_ok", allocator.BookedState)
	h.settle()
	if got := h.state(pending.ID); got != allocator.Captured {
		t.Errorf("the payment under way ended %s", got)
	}
	if sold := h.sold(); !slices.Equal(sold, want(0, 1, 2, 3).Cells) {
		t.Errorf("sold %v", sold)
	}
	h.check()
}

func TestWhatAVisitorBoughtCountsForTheLimitAfterTheLocksAreLost(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	h.checkout(h.hold("ann", "k", want(0, 1, 2, 3, 4, 5)), "pay", "tok_ok", allocator.BookedState)
	h.settle()
	for _, when := range []string{"before", "after"} {
		if _, err := h.Hold(t.Context(), h.Slug, "ann", when, want(6)); !errors.Is(err, allocator.ErrHoldLimit) {
			t.Errorf("%s the locks are lost: got %v, want ErrHoldLimit", when, err)
		}
		if when == "before" {
			if err := h.redis.Client().FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.hold("bob", "k", want(6))
	h.check()
}

func TestLocksLostInTheMiddleOfARushSellNothingTwiceI1I2I4I5I7(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	others := sale.New(h.deps) // a second process
	processes := []*sale.Sale{h.Sale, others}
	var flushed sync.Once
	_, _ = crowd(150, func(i int) (any, error) {
		s, holder := processes[i%2], fmt.Sprint("fan", i)
		held, err := s.Hold(t.Context(), h.Slug, holder, "k", want(i%seats))
		if err != nil {
			return nil, err
		}
		if i > 20 {
			flushed.Do(func() { h.redis.Client().FlushAll(context.Background()) })
		}
		return s.Checkout(t.Context(), held.ID, holder, "pay", pays("tok_ok"))
	})
	h.settle()
	// Whoever comes after gets what is left, so that everything is sold in the end.
	for i := range seats {
		if held, err := h.Hold(t.Context(), h.Slug, fmt.Sprint("late", i), "k", want(i)); err == nil {
			h.checkout(held, "pay", "tok_ok", allocator.BookedState)
		}
	}
	h.settle()
	h.check()
}

func TestProcessesThatRebuildAtOnceDoNotUndoEachOther(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	processes := make([]*sale.Sale, 6)
	for i := range processes {
		processes[i] = sale.New(h.deps)
	}
	if err := h.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	_, failed := crowd(60, func(i int) (sale.Held, error) {
		return processes[i%len(processes)].Hold(t.Context(), h.Slug, fmt.Sprint("fan", i), "k", want(i%seats))
	})
	for _, err := range failed {
		var conflict *allocator.ConflictError
		if !errors.As(err, &conflict) && !errors.Is(err, allocator.ErrAllHeld) && !errors.Is(err, allocator.ErrEpoch) {
			t.Errorf("refused with %v", err)
		}
	}
	e, err := h.store.Event(t.Context(), h.Slug)
	if err != nil {
		t.Fatal(err)
	}
	if e.Epoch != 2 {
		t.Errorf("epoch %d: the locks were built more than once", e.Epoch)
	}
	for i := range 10 { // and now all is quiet
		held := h.hold(fmt.Sprint("late", i), "k", sale.Want{Area: area, Quantity: 1})
		if err := h.Release(t.Context(), held.ID, held.Holder); err != nil {
			t.Error(err)
		}
	}
	h.check()
}

// watchedLocks tell when a rebuild is about to begin and when somebody looks for the
// end of one.
type watchedLocks struct {
	allocator.Locks
	begin, look func()
}

func (w *watchedLocks) Rebuild(ctx context.Context, e *allocator.Event, cells []allocator.Cell, taken []allocator.Taken) error {
	w.begin()
	return w.Locks.Rebuild(ctx, e, cells, taken)
}

func (w *watchedLocks) Counts(ctx context.Context, e *allocator.Event) (allocator.Counts, error) {
	c, err := w.Locks.Counts(ctx, e)
	w.look()
	return c, err
}

func TestARebuildUnderWayIsWaitedForAndNotBegunAgain(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	h.hold("early", "k", want(0)) // all is well, and everybody knows the event
	begun, waits := make(chan struct{}), make(chan struct{})
	var looked sync.Once
	first, second := h.deps, h.deps
	first.Locks = &watchedLocks{Locks: h.locks, begin: func() { close(begun); <-waits }, look: func() {}}
	second.Locks = &watchedLocks{Locks: h.locks, begin: func() {}, look: func() { looked.Do(func() { close(waits) }) }}
	a, b := sale.New(first), sale.New(second)
	for i, s := range []*sale.Sale{a, b} {
		if _, err := s.Hold(t.Context(), h.Slug, fmt.Sprint("early", i), "k", want(10+i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	before, err := h.store.Event(t.Context(), h.Slug)
	if err != nil {
		t.Fatal(err)
	}
	var one sync.WaitGroup
	one.Go(func() {
		if _, err := a.Hold(t.Context(), h.Slug, "ann", "k", want(1)); err != nil {
			t.Errorf("who rebuilds: %v", err)
		}
	})
	<-begun
	if _, err := b.Hold(t.Context(), h.Slug, "bob", "k", want(2)); err != nil {
		t.Errorf("who waits: %v", err)
	}
	one.Wait()
	if after, err := h.store.Event(t.Context(), h.Slug); err != nil || after.Epoch != before.Epoch+1 {
		t.Errorf("the epoch went from %d to %d (%v), want one rebuild", before.Epoch, after.Epoch, err)
	}
	h.check()
}

func TestWhatIsSoldWhileTheLocksAreRebuiltIsShownAsSoldI4(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	sold := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_pending", allocator.Authorising)
	freed := h.checkout(h.hold("bob", "k", want(1)), "pay", "tok_refused_later", allocator.Authorising)
	deps := h.deps
	deps.Locks = &watchedLocks{Locks: h.locks, look: func() {}, begin: func() {
		// What the database says was read already. Now it changes, and the orders
		// that follow are carried out on locks that are about to be replaced.
		h.clock.Advance(31 * time.Second)
		for b, to := range map[*allocator.Booking]allocator.BookingState{sold: allocator.BookedState, freed: allocator.Declined} {
			if moved, err := h.store.Advance(context.WithoutCancel(t.Context()), b, to, allocator.Authorising); !moved || err != nil {
				t.Errorf("moving to %s: %t, %v", to, moved, err)
			}
		}
		h.sql(`DELETE FROM outbox WHERE kind IN ('mark', 'unpay')`)
	}}
	if err := h.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := sale.New(deps).Rebuild(t.Context(), h.Event); err != nil {
		t.Fatal(err)
	}
	if a, b := h.state(sold.ID), h.state(freed.ID); a != allocator.BookedState || b != allocator.Declined {
		t.Fatalf("the payments ended %s and %s", a, b)
	}
	h.settle()
	h.check()
}

func TestTheLastStandingPlacesAreSoldToWhoComesFirstI7(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	_, failed := crowd(200, func(i int) (*allocator.Booking, error) {
		holder := fmt.Sprint("fan", i)
		held, err := h.Hold(t.Context(), h.Slug, holder, "k", sale.Want{Area: area, Quantity: 1 + i%2})
		if err != nil {
			return nil, err
		}
		return h.Checkout(t.Context(), held.ID, holder, "pay", pays("tok_ok"))
	})
	for _, err := range failed {
		var short *allocator.AreaShortError
		if !errors.As(err, &short) {
			t.Errorf("refused with %v, want that the area is short", err)
		}
	}
	h.settle()
	// Who wanted two and met the last one left it: it goes to the next who wants one.
	for i := range standing - len(h.sold()) {
		h.checkout(h.hold(fmt.Sprint("last", i), "k", sale.Want{Area: area, Quantity: 1}), "pay", "tok_ok", allocator.BookedState)
	}
	h.settle()
	if n := len(h.sold()); n != standing {
		t.Errorf("%d places sold of %d", n, standing)
	}
	var short *allocator.AreaShortError
	if _, err := h.Hold(t.Context(), h.Slug, "too late", "k", sale.Want{Area: area, Quantity: 1}); !errors.As(err, &short) || short.Available != 0 {
		t.Errorf("got %v, want none left", err)
	}
	h.check()
}

func TestWithoutRedisNothingIsHeldAndPaymentsUnderWayFinish(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	paying := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_pending", allocator.Authorising)
	declined := h.checkout(h.hold("bob", "k", want(1)), "pay", "tok_refused_later", allocator.Authorising)
	held := h.hold("cid", "k", want(2))
	h.redis.Kill()
	if _, err := h.Hold(t.Context(), h.Slug, "eve", "k", want(3)); !errors.Is(err, allocator.ErrUnavailable) {
		t.Errorf("holding: %v, want ErrUnavailable", err)
	}
	if _, err := h.Checkout(t.Context(), held.ID, "cid", "pay", pays("tok_ok")); !errors.Is(err, allocator.ErrUnavailable) {
		t.Errorf("paying: %v, want ErrUnavailable", err)
	}
	h.clock.Advance(time.Minute)
	if _, err := h.Recover(t.Context()); err != nil {
		t.Errorf("recovery without locks: %v", err)
	}
	if a, b := h.state(paying.ID), h.state(declined.ID); a != allocator.BookedState || b != allocator.Declined {
		t.Errorf("the payments under way ended %s and %s", a, b)
	}
	if _, err := h.WorkOutbox(t.Context()); err != nil { // captures; what is for the locks waits
		t.Errorf("outbox: %v", err)
	}
	if got := h.state(paying.ID); got != allocator.Captured {
		t.Errorf("the money of a sold seat was not taken: %s", got)
	}
	h.redis.Start() // empty
	h.settle()
	h.hold("eve", "k", want(1))
	h.check()
}

func TestAKilledDatabaseLosesNothingThatWasAcknowledgedI3(t *testing.T) {
	t.Parallel()
	database := devstack.OwnPostgres(t)
	h := open(t, database)
	var once sync.Once
	var killed sync.WaitGroup
	kill := func() { killed.Go(database.Kill) } // while others are in the middle of it
	done, failed := crowd(seats, func(i int) (*allocator.Booking, error) {
		holder := fmt.Sprint("fan", i)
		held, err := h.Hold(t.Context(), h.Slug, holder, "k", want(i))
		if err != nil {
			return nil, err
		}
		b, err := h.Checkout(t.Context(), held.ID, holder, "pay", pays("tok_ok"))
		if err == nil {
			once.Do(kill)
		}
		return b, err
	})
	once.Do(kill)
	killed.Wait()
	for _, err := range failed {
		if !errors.Is(err, allocator.ErrUnavailable) {
			t.Errorf("while the database was away: %v, want ErrUnavailable", err)
		}
	}
	if _, err := h.Checkout(t.Context(), sale.HoldID(h.Slug, "fan0", "k"), "fan0", "other", pays("tok_ok")); err == nil {
		t.Error("a checkout was acknowledged without a database")
	}
	h.hold("patient", "k", sale.Want{Area: area, Quantity: 1}) // seats can still be held
	database.Start()
	for _, b := range done {
		if b.State != allocator.BookedState {
			continue
		}
		if got := h.state(b.ID); got != allocator.BookedState && got != allocator.Captured {
			t.Errorf("I3: booking %s was acknowledged and is %s", b.ID, got)
		}
	}
	h.settle()
	_, failed = crowd(seats, func(i int) (*allocator.Booking, error) { // everybody comes back with their keys
		holder := fmt.Sprint("fan", i)
		if _, err := h.Hold(t.Context(), h.Slug, holder, "k", want(i)); err != nil && len(h.sold()) == 0 {
			return nil, err
		}
		return h.Checkout(t.Context(), sale.HoldID(h.Slug, holder, "k"), holder, "pay", pays("tok_ok"))
	})
	for _, err := range failed {
		t.Errorf("coming back: %v", err)
	}
	h.settle()
	if n := len(h.sold()); n != seats {
		t.Errorf("%d seats sold of %d", n, seats)
	}
	h.check()
}
