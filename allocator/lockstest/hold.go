package lockstest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

func allOrNone(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 10, 0)
	first, err := b.Locks.Hold(t.Context(), h.Want("h1", "ann", 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(first.Expires); left < 50*time.Second || left > time.Minute+time.Second {
		t.Errorf("the hold ends in %v, want about a minute", left)
	}
	if !slices.Equal(first.Cells, Seats(2, 3)) || !slices.Equal(first.Category, []int{0, 1}) {
		t.Errorf("got %v of categories %v", first.Cells, first.Category)
	}
	_, err = b.Locks.Hold(t.Context(), h.Want("h2", "bob", 1, 2, 4))
	var conflict *allocator.ConflictError
	if !errors.As(err, &conflict) || !slices.Equal(conflict.Cells, Seats(2)) {
		t.Fatalf("got %v, want a conflict over seat 2 alone", err)
	}
	second, err := b.Locks.Hold(t.Context(), h.Want("h3", "bob", 1, 4))
	if err != nil {
		t.Fatalf("the refused hold left something behind: %v", err)
	}
	if second.Fence <= first.Fence || second.Fence>>40 != h.Epoch {
		t.Errorf("fence %x after %x in epoch %d", second.Fence, first.Fence, h.Epoch)
	}
	c := must[allocator.Counts](t)(b.Locks.Counts(t.Context(), h.Event))
	if c.Free != 6 || c.Held != 4 || c.Booked != 0 || c.ByCategory[0].Held != 2 || c.ByCategory[1].Held != 2 {
		t.Errorf("got %+v", c)
	}
	if c.NextRelease.IsZero() || c.NextRelease.After(second.Expires) {
		t.Errorf("next release at %v", c.NextRelease)
	}
	b.Check(t, h.Event)
}

func repeatedHold(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 10, 10)
	for _, req := range []allocator.HoldRequest{h.Want("seats", "ann", 0, 1), h.WantStanding("standing", "ann", 2)} {
		first := must[allocator.Hold](t)(b.Locks.Hold(t.Context(), req))
		again := must[allocator.Hold](t)(b.Locks.Hold(t.Context(), req))
		got := must[allocator.Hold](t)(b.Locks.Get(t.Context(), h.Event, req.HoldID, "ann"))
		for _, other := range []allocator.Hold{again, got} {
			if other.Fence != first.Fence || !other.Expires.Equal(first.Expires) || !slices.Equal(other.Cells, first.Cells) {
				t.Errorf("got %+v, want %+v", other, first)
			}
		}
	}
	for _, other := range []allocator.HoldRequest{h.Want("standing", "ann", 3, 4), h.WantStanding("seats", "ann", 2)} {
		if got, err := b.Locks.Hold(t.Context(), other); !errors.Is(err, allocator.ErrKeyMismatch) {
			t.Errorf("an id used before for another area: %+v, %v; want ErrKeyMismatch", got, err)
		}
	}
	if c := must[allocator.Counts](t)(b.Locks.Counts(t.Context(), h.Event)); c.Held != 4 {
		t.Errorf("%d cells held, want 4", c.Held)
	}
	b.Check(t, h.Event)
}

func foreignHolder(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 10, 0)
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h1", "ann", 0)))
	_, hold := b.Locks.Hold(t.Context(), h.Want("h1", "eve", 0))
	_, get := b.Locks.Get(t.Context(), h.Event, "h1", "eve")
	_, pay := b.Locks.BeginPayment(t.Context(), h.Event, "h1", "eve", time.Now().Add(time.Minute))
	for name, err := range map[string]error{
		"hold": hold, "get": get, "pay": pay, "release": b.Locks.Release(t.Context(), h.Event, "h1", "eve"),
	} {
		if !errors.Is(err, allocator.ErrHoldNotYours) {
			t.Errorf("%s: got %v, want ErrHoldNotYours", name, err)
		}
	}
	must[allocator.Hold](t)(b.Locks.Get(t.Context(), h.Event, "h1", "ann"))
	b.Check(t, h.Event)
}

func refusals(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 10, 10)
	for name, tt := range map[string]struct {
		req  allocator.HoldRequest
		want error
	}{
		"a seat that does not exist":  {allocator.HoldRequest{Event: h.Event, HoldID: "a", Holder: "ann", Cells: []string{"A-00000", "nowhere"}}, allocator.ErrCellUnknown},
		"an area that does not exist": {allocator.HoldRequest{Event: h.Event, HoldID: "b", Holder: "ann", Area: "nowhere", Quantity: 1}, allocator.ErrCellUnknown},
		// By its number a standing place would bypass the area's counter.
		"a standing place by its number": {allocator.HoldRequest{Event: h.Event, HoldID: "c", Holder: "ann", Cells: []string{"S-00000"}}, allocator.ErrCellUnknown},
		"more than can be meant":         {h.WantStanding("d", "ann", 1_000_000), allocator.ErrHoldLimit},
	} {
		if _, err := b.Locks.Hold(t.Context(), tt.req); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	for name, req := range map[string]allocator.HoldRequest{
		"nothing":          {Event: h.Event, HoldID: "e", Holder: "ann"},
		"a seat twice":     h.Want("f", "ann", 1, 1),
		"fewer than none":  h.WantStanding("g", "ann", -1),
		"nobody's hold":    h.Want("h", "", 1),
		"a hold unnamed":   h.Want("", "ann", 1),
		"seats and places": {Event: h.Event, HoldID: "i", Holder: "ann", Cells: Seats(1), Area: Area, Quantity: 1},
	} {
		if _, err := b.Locks.Hold(t.Context(), req); err == nil {
			t.Errorf("%s was held", name)
		}
	}
	var conflict *allocator.ConflictError
	_, err := b.Locks.Hold(t.Context(), allocator.HoldRequest{Event: h.Event, HoldID: "j", Holder: "ann", Cells: []string{BlockedSeat}})
	if !errors.As(err, &conflict) {
		t.Errorf("a blocked seat: got %v, want a conflict", err)
	}
	if c := must[allocator.Counts](t)(b.Locks.Counts(t.Context(), h.Event)); c.Held != 0 || c.Free != 20 {
		t.Errorf("got %+v", c)
	}
	b.Check(t, h.Event)
}

func passLimit(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 20, 10)
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h1", "ann", 0, 1, 2, 3)))
	for name, req := range map[string]allocator.HoldRequest{
		"seats": h.Want("h2", "ann", 4, 5, 6), "standing places": h.WantStanding("h3", "ann", 3),
	} {
		if _, err := b.Locks.Hold(t.Context(), req); !errors.Is(err, allocator.ErrHoldLimit) {
			t.Errorf("%s: got %v, want ErrHoldLimit", name, err)
		}
	}
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h4", "ann", 4, 5)))
	if err := b.Locks.Release(t.Context(), h.Event, "h1", "ann"); err != nil {
		t.Fatal(err)
	}
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.WantStanding("h5", "ann", 4)))

	// A holder whose time ran out counts for nothing, swept or not.
	brief := h.Brief(time.Millisecond)
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), brief.Want("h6", "bob", 10, 11, 12, 13, 14, 15)))
	await(t, "bob's hold is over", func() bool {
		_, err := b.Locks.Hold(t.Context(), h.Want("h7", "bob", 0))
		return err == nil
	})
	b.Check(t, h.Event)
}

func endedHold(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 10, 0)
	if _, err := b.Locks.Get(t.Context(), h.Event, "never", "ann"); !errors.Is(err, allocator.ErrHoldUnknown) {
		t.Errorf("a hold never made: got %v", err)
	}
	brief := h.Brief(time.Millisecond)
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), brief.Want("over", "ann", 0)))
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("released", "ann", 1)))
	for range 2 { // releasing twice is releasing once
		if err := b.Locks.Release(t.Context(), h.Event, "released", "ann"); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "the hold is over", func() bool {
		_, err := b.Locks.Get(t.Context(), h.Event, "over", "ann")
		return errors.Is(err, allocator.ErrHoldExpired)
	})
	for _, id := range []string{"over", "released"} {
		_, get := b.Locks.Get(t.Context(), h.Event, id, "ann")
		_, pay := b.Locks.BeginPayment(t.Context(), h.Event, id, "ann", time.Now())
		_, again := b.Locks.Hold(t.Context(), h.Want(id, "ann", 5))
		for name, err := range map[string]error{"get": get, "pay": pay, "hold": again} {
			if !errors.Is(err, allocator.ErrHoldExpired) {
				t.Errorf("%s of %s: got %v, want ErrHoldExpired", name, id, err)
			}
		}
		if err := b.Locks.Release(t.Context(), h.Event, id, "ann"); err != nil {
			t.Errorf("releasing %s: %v", id, err)
		}
	}
	b.Check(t, h.Event)
}

func takeover(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 10, 4)
	brief := h.Brief(time.Millisecond)
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), brief.Want("old", "ann", 0, 1, 2)))
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), brief.WantStanding("old-s", "cid", 4)))
	await(t, "seat 1 can be had again", func() bool {
		_, err := b.Locks.Hold(t.Context(), h.Want(fmt.Sprint("new-", time.Now().UnixNano()), "bob", 1))
		return err == nil
	})
	await(t, "standing places can be had again", func() bool {
		_, err := b.Locks.Hold(t.Context(), h.WantStanding(fmt.Sprint("new-s", time.Now().UnixNano()), "dan", 4))
		return err == nil
	})
	// ann's other seats came free with the one that was taken over.
	c := must[allocator.Counts](t)(b.Locks.Counts(t.Context(), h.Event))
	if c.Held != 5 || c.Free != 9 {
		t.Errorf("got %+v", c)
	}
	b.Check(t, h.Event)
	if n := must[int](t)(b.Locks.Sweep(t.Context(), h.Event, 100)); n != 0 {
		t.Errorf("swept %d holds that were over and done with", n)
	}
}
