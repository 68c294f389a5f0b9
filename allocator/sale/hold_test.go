package sale_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func TestOfFiveHundredWhoWantOneSeatOneGetsIt(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	done, failed := crowd(500, func(i int) (sale.Held, error) {
		return h.Hold(t.Context(), h.Slug, fmt.Sprint("fan", i), "k", want(7))
	})
	if len(done) != 1 || len(failed) != 499 {
		t.Fatalf("%d hold the seat, %d were refused", len(done), len(failed))
	}
	for _, err := range failed {
		var conflict *allocator.ConflictError
		if !errors.As(err, &conflict) || !slices.Equal(conflict.Cells, []string{seat(7)}) {
			t.Errorf("refused with %v, want a conflict about the seat", err)
		}
	}
	h.check()
}

func TestOneKeyFindsItsOwnHoldAndFitsOneWish(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	first := h.hold("ann", "k", want(2, 1, 2))
	if !slices.Equal(first.Cells, []string{seat(1), seat(2)}) || first.Total.Amount != 2*price || first.Total.Currency != "EUR" {
		t.Fatalf("got %+v", first)
	}
	again := h.hold("ann", "k", want(1, 2))
	if again.ID != first.ID || again.Fence != first.Fence || !again.Expires.Equal(first.Expires) {
		t.Errorf("a repeat made %+v of %+v", again, first)
	}
	for name, other := range map[string]sale.Want{
		"other seats": want(3, 4), "fewer seats": want(1), "more seats": want(1, 2, 3),
		"as many places in an area": {Area: area, Quantity: 2}, "other number of places": {Area: area, Quantity: 1},
	} {
		if got, err := h.Hold(t.Context(), h.Slug, "ann", "k", other); !errors.Is(err, allocator.ErrKeyMismatch) {
			t.Errorf("the key again for %s: %+v, %v; want ErrKeyMismatch", name, got, err)
		}
	}
	places := h.hold("bob", "k", sale.Want{Area: area, Quantity: 2})
	if places.ID == first.ID {
		t.Error("two holders share a hold by using one key")
	}
	if _, err := h.Hold(t.Context(), h.Slug, "bob", "k", want(8, 9)); !errors.Is(err, allocator.ErrKeyMismatch) {
		t.Errorf("the key of places again for seats: %v, want ErrKeyMismatch", err)
	}
	h.check()
}

func TestOverlappingWishesLeaveLosersWithNothing(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	for round := range 8 {
		a, b, c := 3*round, 3*round+1, 3*round+2
		wishes := []sale.Want{want(a, b), want(b, c), want(c, a)}
		done, failed := crowd(3, func(i int) (sale.Held, error) {
			return h.Hold(t.Context(), h.Slug, fmt.Sprintf("fan%d-%d", round, i), "k", wishes[i])
		})
		if len(done) != 1 || len(failed) != 2 {
			t.Errorf("%d of three got a pair that each shares with the others", len(done))
		}
	}
	counts, err := h.locks.Counts(t.Context(), h.Event)
	if err != nil || counts.Held != 16 {
		t.Errorf("%d held (%v), want the 8 pairs that were won", counts.Held, err)
	}
	h.check()
}

func TestAPassMayAllowLessThanTheEventAndCountsAllItsHolds(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	two := want(0, 1)
	two.Limit = 2
	h.hold("ann", "k1", two)
	more := want(2)
	more.Limit = 2
	if _, err := h.Hold(t.Context(), h.Slug, "ann", "k2", more); !errors.Is(err, allocator.ErrHoldLimit) {
		t.Errorf("a third seat on a pass for two: %v, want ErrHoldLimit", err)
	}
	generous := want(2, 3, 4, 5, 6, 7, 8)
	generous.Limit = 100
	if _, err := h.Hold(t.Context(), h.Slug, "bob", "k", generous); !errors.Is(err, allocator.ErrHoldLimit) {
		t.Errorf("a pass overruled the event's limit: %v", err)
	}
	h.check()
}

func TestOnlyAnOpenSaleHolds(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	if _, err := h.store.SetPhase(t.Context(), h.Slug, allocator.PhaseClosed); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Hold(t.Context(), h.Slug, "ann", "k", want(0)); !errors.Is(err, allocator.ErrNotOpen) {
		t.Errorf("got %v, want ErrNotOpen", err)
	}
	if _, err := h.Hold(t.Context(), "no-such-hall", "ann", "k", want(0)); !errors.Is(err, allocator.ErrEventUnknown) {
		t.Errorf("got %v, want ErrEventUnknown", err)
	}
	soldOut := h.deps
	soldOut.SoldOut = func(context.Context, string) bool { return true }
	if _, err := h.store.SetPhase(t.Context(), h.Slug, allocator.PhaseOpen); err != nil {
		t.Fatal(err)
	}
	if _, err := sale.New(soldOut).Hold(t.Context(), h.Slug, "ann", "k", want(0)); !errors.Is(err, allocator.ErrSoldOut) {
		t.Errorf("got %v, want ErrSoldOut", err)
	}
}

func TestAHoldIsItsHoldersOnly(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	if _, err := h.GetHold(t.Context(), held.ID, "eve"); !errors.Is(err, allocator.ErrHoldNotYours) {
		t.Errorf("reading: %v, want ErrHoldNotYours", err)
	}
	if err := h.Release(t.Context(), held.ID, "eve"); !errors.Is(err, allocator.ErrHoldNotYours) {
		t.Errorf("releasing: %v, want ErrHoldNotYours", err)
	}
	if _, err := h.Checkout(t.Context(), held.ID, "eve", "k", pays("tok_ok")); !errors.Is(err, allocator.ErrHoldNotYours) {
		t.Errorf("paying: %v, want ErrHoldNotYours", err)
	}
	for _, id := range []string{"", "h_", "h__", "h_x_y", "nonsense", sale.HoldID("no-such-hall", "ann", "k"), sale.HoldID(h.Slug, "ann", "other")} {
		if _, err := h.GetHold(t.Context(), id, "ann"); !errors.Is(err, allocator.ErrHoldUnknown) {
			t.Errorf("hold %q: %v, want ErrHoldUnknown", id, err)
		}
	}
	for range 2 {
		if err := h.Release(t.Context(), held.ID, "ann"); err != nil {
			t.Errorf("giving back: %v", err)
		}
	}
	if _, err := h.GetHold(t.Context(), held.ID, "ann"); !errors.Is(err, allocator.ErrHoldExpired) {
		t.Errorf("after giving back: %v, want ErrHoldExpired", err)
	}
	h.hold("eve", "k", want(0))
	h.check()
}
