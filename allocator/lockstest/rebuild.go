package lockstest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Next is the hall after its epoch was bumped.
func (h Hall) Next() Hall {
	e := *h.Event
	e.Epoch++
	h.Event = &e
	return h
}

func rebuild(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 2500, 2500) // more than one batch of each
	old := must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h1", "ann", 0, 1)))
	next := h.Next()
	until := time.Now().Add(time.Minute).Truncate(time.Millisecond)
	taken := []allocator.Taken{
		{Cell: Seat(10), HoldID: "sold", Holder: "cid", Booked: true},
		{Cell: "S-00000", HoldID: "sold", Holder: "cid", Booked: true},
		{Cell: Seat(20), HoldID: "paying", Holder: "bob", Until: until},
		{Cell: Seat(21), HoldID: "paying", Holder: "bob", Until: until},
		{Cell: "S-00001", HoldID: "late", Until: until.Add(-time.Hour)}, // nobody knows whose
	}
	for range 2 {
		if err := b.Locks.Rebuild(t.Context(), next.Event, h.Cells, taken); err != nil {
			t.Fatal(err)
		}
	}
	b.Check(t, next.Event)
	c := must[allocator.Counts](t)(b.Locks.Counts(t.Context(), next.Event))
	if c.Booked != 2 || c.Held != 3 || c.Free != 4995 || c.ByCategory[2].Free != 2498 {
		t.Errorf("got %+v", c)
	}
	if _, err := b.Locks.Get(t.Context(), next.Event, "h1", "ann"); !errors.Is(err, allocator.ErrHoldUnknown) {
		t.Errorf("a hold that was not paying outlived the rebuild: %v", err)
	}
	bobs := must[allocator.Hold](t)(b.Locks.Get(t.Context(), next.Event, "paying", "bob"))
	if !bobs.Paying || !slices.Equal(bobs.Cells, Seats(20, 21)) || !bobs.Expires.Equal(until) || !slices.Equal(bobs.Category, []int{0, 1}) {
		t.Errorf("got %+v", bobs)
	}
	fresh := must[allocator.Hold](t)(b.Locks.Hold(t.Context(), next.Want("h2", "ann", 0, 1)))
	if fresh.Fence <= old.Fence {
		t.Errorf("fence %x after %x: it went back over the rebuild", fresh.Fence, old.Fence)
	}
	// Who still has the event of before the rebuild sees the new state.
	must[allocator.Hold](t)(b.Locks.Get(t.Context(), h.Event, "h2", "ann"))

	for _, id := range []string{"paying", "late"} {
		if err := b.Locks.EndPayment(t.Context(), next.Event, id, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if bobs = must[allocator.Hold](t)(b.Locks.Get(t.Context(), next.Event, "paying", "bob")); bobs.Paying {
		t.Error("bob is still paying after the refusal")
	}
	if c = must[allocator.Counts](t)(b.Locks.Counts(t.Context(), next.Event)); c.Held != 4 {
		t.Errorf("%d held, want bob's two and ann's: nobody can use the one without a holder", c.Held)
	}
	b.Check(t, next.Event)
}

func boughtLimit(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 30, 10)
	standing := must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.WantStanding("h1", "ann", 2)))
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h2", "ann", 0, 1, 2)))
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h3", "bob", 10, 11, 12, 13, 14, 15)))
	bought := append(Seats(0, 1, 2, 10), standing.Cells...) // one of them is bob's: the database overrules
	for range 2 {
		for id, cells := range map[string][]string{"h1": standing.Cells, "h2": Seats(0, 1, 2, 10)} {
			if err := b.Locks.Book(t.Context(), h.Event, id, cells); err != nil {
				t.Fatal(err)
			}
		}
	}
	full := func(h Hall, id string) {
		t.Helper()
		for name, req := range map[string]allocator.HoldRequest{"a seat": h.Want(id, "ann", 5), "a place": h.WantStanding(id, "ann", 1)} {
			if _, err := b.Locks.Hold(t.Context(), req); !errors.Is(err, allocator.ErrHoldLimit) {
				t.Errorf("%s more than ann may buy: got %v, want ErrHoldLimit", name, err)
			}
		}
		b.Check(t, h.Event)
	}
	full(h, "h4")
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h5", "bob", 16))) // for the one he lost

	next := h.Next()
	taken := []allocator.Taken{{Cell: Seat(20), HoldID: "nobody", Booked: true}} // nobody knows whose
	for _, cell := range bought {
		taken = append(taken, allocator.Taken{Cell: cell, HoldID: "h2", Holder: "ann", Booked: true})
	}
	if err := b.Locks.Rebuild(t.Context(), next.Event, h.Cells, taken); err != nil {
		t.Fatal(err)
	}
	full(next, "h6")
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), next.Want("h7", "bob", 11, 12, 13, 14, 15, 16)))

	// Half of a limit bought and half held.
	next = next.Next()
	if err := b.Locks.Rebuild(t.Context(), next.Event, h.Cells, taken[:4]); err != nil {
		t.Fatal(err)
	}
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), next.Want("h8", "ann", 21, 22, 23)))
	full(next, "h9")
	if err := b.Locks.Release(t.Context(), next.Event, "h8", "ann"); err != nil {
		t.Fatal(err)
	}
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), next.Want("h10", "ann", 21, 22, 23)))
}

func rebuildRace(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 3000, 0)
	newest := h
	halls := make([]Hall, 8)
	for i := range halls {
		newest = newest.Next()
		halls[i] = newest
	}
	crowd(len(halls), func(i int) {
		err := b.Locks.Rebuild(t.Context(), halls[i].Event, h.Cells, nil)
		if err != nil && !errors.Is(err, allocator.ErrEpoch) {
			t.Error(err)
		}
	})
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), newest.Want("h1", "ann", 1)))
	b.Check(t, newest.Event)
	if err := b.Locks.Rebuild(t.Context(), h.Event, h.Cells, nil); err != nil {
		t.Errorf("an old rebuild: %v, want it to find that a newer one was done", err)
	}
	must[allocator.Hold](t)(b.Locks.Get(t.Context(), newest.Event, "h1", "ann"))
}

func withoutState(t *testing.T, b Backend) {
	built := NewHall(t, b.Locks, 10, 5)
	e := *built.Event
	e.Slug += "-never-built"
	h := Hall{Event: &e}
	for _, h := range []Hall{h, built.Next()} {
		_, seats := b.Locks.Hold(t.Context(), h.Want("h1", "ann", 0))
		_, places := b.Locks.Hold(t.Context(), h.WantStanding("h1", "ann", 1))
		_, get := b.Locks.Get(t.Context(), h.Event, "h1", "ann")
		_, pay := b.Locks.BeginPayment(t.Context(), h.Event, "h1", "ann", time.Now())
		_, sweep := b.Locks.Sweep(t.Context(), h.Event, 10)
		_, counts := b.Locks.Counts(t.Context(), h.Event)
		for name, err := range map[string]error{
			"hold": seats, "hold places": places, "get": get, "pay": pay, "sweep": sweep, "counts": counts,
			"release": b.Locks.Release(t.Context(), h.Event, "h1", "ann"),
			"end":     b.Locks.EndPayment(t.Context(), h.Event, "h1", time.Time{}),
			"book":    b.Locks.Book(t.Context(), h.Event, "h1", Seats(0)),
			"free":    b.Locks.Free(t.Context(), h.Event, "h1", Seats(0)),
		} {
			if !errors.Is(err, allocator.ErrEpoch) {
				t.Errorf("%s: got %v, want ErrEpoch", name, err)
			}
		}
	}
}
