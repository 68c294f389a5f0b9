package lockstest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

func payment(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 10, 0)
	const ttl = 100 * time.Millisecond
	brief := h.Brief(ttl)
	first := must[allocator.Hold](t)(b.Locks.Hold(t.Context(), brief.Want("h1", "ann", 0, 1)))
	until := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	paying := must[allocator.Hold](t)(b.Locks.BeginPayment(t.Context(), h.Event, "h1", "ann", until))
	if !paying.Paying || !paying.Expires.Equal(until) || paying.Fence != first.Fence {
		t.Fatalf("got %+v", paying)
	}
	again := must[allocator.Hold](t)(b.Locks.BeginPayment(t.Context(), h.Event, "h1", "ann", until.Add(-time.Hour)))
	if !again.Expires.Equal(until) {
		t.Errorf("a repeat cut the payment short: it ends at %v, want %v", again.Expires, until)
	}
	// Its own time passes: witnessed by another hold made later.
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), brief.Want("witness", "bob", 5)))
	await(t, "the witness is over", func() bool {
		_, err := b.Locks.Get(t.Context(), h.Event, "witness", "bob")
		return errors.Is(err, allocator.ErrHoldExpired)
	})
	must[int](t)(b.Locks.Sweep(t.Context(), h.Event, 100))
	if err := b.Locks.Release(t.Context(), h.Event, "h1", "ann"); err != nil {
		t.Errorf("releasing a paying hold: %v, want nothing to happen", err)
	}
	var conflict *allocator.ConflictError
	if _, err := b.Locks.Hold(t.Context(), h.Want("h2", "bob", 0)); !errors.As(err, &conflict) {
		t.Fatalf("a paying seat was given away: %v", err)
	}
	if err := b.Locks.EndPayment(t.Context(), h.Event, "h1", until.Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if still := must[allocator.Hold](t)(b.Locks.Get(t.Context(), h.Event, "h1", "ann")); !still.Paying {
		t.Error("the end of an earlier payment ended a later one")
	}
	for range 2 {
		if err := b.Locks.EndPayment(t.Context(), h.Event, "h1", until); err != nil {
			t.Fatal(err)
		}
	}
	back := must[allocator.Hold](t)(b.Locks.Get(t.Context(), h.Event, "h1", "ann"))
	if left := time.Until(back.Expires); back.Paying || left < 50*time.Second || left > 61*time.Second {
		t.Errorf("after a refusal %v left, want about a minute; paying %t", left, back.Paying)
	}
	if err := b.Locks.Release(t.Context(), h.Event, "h1", "ann"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"h1", "never"} {
		if err := b.Locks.EndPayment(t.Context(), h.Event, id, time.Time{}); err != nil {
			t.Errorf("ending the payment of %s, which is gone: %v", id, err)
		}
	}
	b.Check(t, h.Event)
}

func bookingWins(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 10, 5)
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h1", "ann", 0, 1)))
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h2", "bob", 2, 3)))
	standing := must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.WantStanding("h3", "cid", 2)))
	must[allocator.Hold](t)(b.Locks.BeginPayment(t.Context(), h.Event, "h3", "cid", time.Now().Add(time.Minute)))

	// ann's own two, one that bob holds, one that is free, one standing place nobody has.
	cells := append(Seats(0, 1, 2, 7), "S-00004")
	for range 2 {
		if err := b.Locks.Book(t.Context(), h.Event, "h1", cells); err != nil {
			t.Fatal(err)
		}
		if err := b.Locks.Book(t.Context(), h.Event, "h3", standing.Cells); err != nil {
			t.Fatal(err)
		}
	}
	b.Check(t, h.Event)
	c := must[allocator.Counts](t)(b.Locks.Counts(t.Context(), h.Event))
	if c.Booked != 7 || c.Held != 1 || c.Free != 7 {
		t.Errorf("got %+v", c)
	}
	bobs := must[allocator.Hold](t)(b.Locks.Get(t.Context(), h.Event, "h2", "bob"))
	if !slices.Equal(bobs.Cells, Seats(3)) || !slices.Equal(bobs.Category, []int{1}) {
		t.Errorf("bob is left with %v of %v", bobs.Cells, bobs.Category)
	}
	if _, err := b.Locks.Get(t.Context(), h.Event, "h1", "ann"); !errors.Is(err, allocator.ErrHoldExpired) {
		t.Errorf("the booked hold lives on: %v", err)
	}
	// Nothing takes a booked cell back.
	for _, id := range []string{"h1", "h3"} {
		if err := b.Locks.Free(t.Context(), h.Event, id, cells); err != nil {
			t.Fatal(err)
		}
	}
	must[int](t)(b.Locks.Sweep(t.Context(), h.Event, 100))
	if again := must[allocator.Counts](t)(b.Locks.Counts(t.Context(), h.Event)); again.Booked != 7 {
		t.Errorf("%d booked cells of 7 are left", again.Booked)
	}
	if err := b.Locks.Book(t.Context(), h.Event, "h1", []string{"nowhere"}); !errors.Is(err, allocator.ErrCellUnknown) {
		t.Errorf("booking a cell that does not exist: %v", err)
	}
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.WantStanding("h4", "dan", 2)))
	if _, err := b.Locks.Hold(t.Context(), h.WantStanding("h5", "eve", 1)); err == nil {
		t.Error("the booked standing place was given out again")
	}
	b.Check(t, h.Event)
}

func freeOwnOnly(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 10, 0)
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h1", "ann", 0, 1)))
	must[allocator.Hold](t)(b.Locks.BeginPayment(t.Context(), h.Event, "h1", "ann", time.Now().Add(time.Minute)))
	if err := b.Locks.Free(t.Context(), h.Event, "h1", Seats(0, 1)); err != nil {
		t.Fatal(err)
	}
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h2", "bob", 0)))
	if err := b.Locks.Free(t.Context(), h.Event, "h1", Seats(0, 1)); err != nil { // repeated, late
		t.Fatal(err)
	}
	if hold := must[allocator.Hold](t)(b.Locks.Get(t.Context(), h.Event, "h2", "bob")); !slices.Equal(hold.Cells, Seats(0)) {
		t.Errorf("bob is left with %v", hold.Cells)
	}
	var conflict *allocator.ConflictError
	if _, err := b.Locks.Hold(t.Context(), h.Want("h3", "cid", 0)); !errors.As(err, &conflict) {
		t.Errorf("bob's seat was given away: %v", err)
	}
	b.Check(t, h.Event)
}
