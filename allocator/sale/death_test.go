package sale_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// TestWhereverTheProcessDiesTheSaleEndsRightI1I2I5I6I7 dies once at every step, for
// every kind of payment that comes there, and lets others finish. Some fans come
// back with their key and some do not.
func TestWhereverTheProcessDiesTheSaleEndsRightI1I2I5I6I7(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		step, method string
		// alone is how it ends without the fan; unfinished holds go on by their own.
		alone allocator.BookingState
	}{
		{"paying", "tok_ok", ""},
		{"claimed", "tok_ok", allocator.Captured},
		{"claimed", "tok_declined", allocator.Declined},
		{"claimed", "tok_never", allocator.Expired},
		{"authorising", "tok_ok", allocator.Captured},
		{"authorising", "tok_declined", allocator.Declined},
		{"authorising", "tok_pending", allocator.Captured},
		{"authorised", "tok_ok", allocator.Captured},
		{"authorised", "tok_lost", allocator.Captured},
		{"authorised", "tok_pending", allocator.Captured},
		{"authorised", "tok_refused_later", allocator.Declined},
		{"authorised", "tok_never", allocator.Expired},
		{"authorised", "tok_declined", allocator.Declined},
		{"booked", "tok_ok", allocator.Captured},
		{"declined", "tok_declined", allocator.Declined},
		{"declined", "tok_refused_later", allocator.Declined},
		{"expired", "tok_never", allocator.Expired},
		{"captured", "tok_ok", allocator.Captured},
	} {
		for _, back := range []bool{false, true} {
			name := tt.step + " with " + tt.method
			if back {
				name += " and the fan comes back"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := open(t, devstack.Postgres(t))
				die(t, h, tt.step, tt.method, back, tt.alone)
			})
		}
	}
}

func die(t *testing.T, h *hall, step, method string, back bool, alone allocator.BookingState) {
	t.Helper()
	held := h.hold("ann", "k", want(0, 1))
	h.dieAt.Store(&step)
	b, err := h.Checkout(t.Context(), held.ID, "ann", "pay", pays(method))
	if err != nil && !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	if back {
		if b, err = h.Checkout(t.Context(), held.ID, "ann", "pay", pays(method)); err != nil && !errors.Is(err, errDied) {
			t.Fatal(err)
		}
	}
	// While the process is dead and nobody has recovered, no seat can be had twice.
	if _, err := h.Hold(t.Context(), h.Slug, "eve", "k", want(1)); b == nil && err == nil {
		t.Error("a seat that is being paid for was given away")
	}
	h.settle()
	if h.dieAt.Load() != nil {
		t.Fatalf("nobody came to the step %q", step)
	}
	var states []string
	for _, state := range h.bookings() {
		states = append(states, string(state))
	}
	want := []string{string(alone)}
	switch {
	case alone == "" && back:
		want = []string{string(allocator.Captured)}
	case alone == "":
		want = nil
	}
	if !slices.Equal(states, want) {
		t.Errorf("it ended %v, want %v", states, want)
	}
	if alone == "" && !back {
		// No claim was made and the fan does not come back: the locks end by
		// themselves, when the payment's time and its grace are over.
		if err := h.locks.EndPayment(context.Background(), h.Event, held.ID, held.Expires.Add(h.PayTTL)); err != nil {
			t.Error(err)
		}
	}
	h.check()
}

// bookings are the states of all bookings.
func (h *hall) bookings() (states []allocator.BookingState) {
	for _, state := range lines(h.sql(`SELECT state FROM booking ORDER BY created_at, id`)) {
		states = append(states, allocator.BookingState(state))
	}
	return states
}
