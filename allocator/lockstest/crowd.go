package lockstest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// crowd lets n callers go at the same moment and waits for all.
func crowd(n int, call func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			call(i)
		})
	}
	close(start)
	wg.Wait()
}

func oneSeat(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 10, 0)
	var won, lost atomic.Int64
	crowd(500, func(i int) {
		_, err := b.Locks.Hold(t.Context(), h.Want(fmt.Sprint("h", i), fmt.Sprint("fan", i), 7))
		var conflict *allocator.ConflictError
		switch {
		case err == nil:
			won.Add(1)
		case errors.As(err, &conflict) && len(conflict.Cells) == 1 && conflict.Cells[0] == Seat(7):
			lost.Add(1)
		default:
			t.Error(err)
		}
	})
	if won.Load() != 1 || lost.Load() != 499 {
		t.Errorf("%d won and %d lost", won.Load(), lost.Load())
	}
	b.Check(t, h.Event)
}

func overlappingSets(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 30, 0)
	var mu sync.Mutex
	owner := map[string]string{}
	crowd(300, func(i int) {
		first := i % 29
		hold, err := b.Locks.Hold(t.Context(), h.Want(fmt.Sprint("h", i), fmt.Sprint("fan", i), first, first+1))
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, cell := range hold.Cells {
			if other, taken := owner[cell]; taken {
				t.Errorf("%s is held by %s and %s", cell, other, hold.ID)
			}
			owner[cell] = hold.ID
		}
	})
	c := must[allocator.Counts](t)(b.Locks.Counts(t.Context(), h.Event))
	if c.Held != len(owner) || c.Held == 0 {
		t.Errorf("%d cells counted as held, %d given out", c.Held, len(owner))
	}
	b.Check(t, h.Event)
}

func lastStanding(t *testing.T, b Backend) {
	const places, fans = 50, 1000
	h := NewHall(t, b.Locks, 10, places)
	var mu sync.Mutex
	sold := map[string]bool{}
	crowd(fans, func(i int) {
		hold, err := b.Locks.Hold(t.Context(), h.WantStanding(fmt.Sprint("h", i), fmt.Sprint("fan", i), 1))
		var short *allocator.AreaShortError
		if errors.As(err, &short) && short.Available == 0 {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, cell := range hold.Cells {
			if sold[cell] {
				t.Errorf("place %s was given twice", cell)
			}
			sold[cell] = true
		}
	})
	if len(sold) != places {
		t.Errorf("%d of %d places given to %d fans", len(sold), places, fans)
	}
	b.Check(t, h.Event)
}

func standingAllOrNone(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 2, 7)
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.WantStanding("h1", "ann", 4)))
	_, err := b.Locks.Hold(t.Context(), h.WantStanding("h2", "bob", 4))
	var short *allocator.AreaShortError
	if !errors.As(err, &short) || short.Available != 3 || short.Area != Area {
		t.Fatalf("got %v, want three left", err)
	}
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.WantStanding("h3", "bob", 3)))
	if err := b.Locks.Release(t.Context(), h.Event, "h1", "ann"); err != nil {
		t.Fatal(err)
	}
	hold := must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.WantStanding("h4", "cid", 4)))
	if len(hold.Cells) != 4 || len(hold.Category) != 4 || hold.Category[0] != 2 {
		t.Errorf("got %+v", hold)
	}
	b.Check(t, h.Event)
}

func heldOrSoldOut(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 2, 1)
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h1", "ann", 0)))
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.WantStanding("h2", "ann", 1)))
	var conflict *allocator.ConflictError
	if _, err := b.Locks.Hold(t.Context(), h.Want("h3", "bob", 0)); !errors.As(err, &conflict) {
		t.Errorf("one seat is free: got %v, want a conflict", err)
	}
	must[allocator.Hold](t)(b.Locks.Hold(t.Context(), h.Want("h4", "ann", 1)))
	refused := func(want error) {
		t.Helper()
		_, seat := b.Locks.Hold(t.Context(), h.Want("h5", "bob", 0))
		_, place := b.Locks.Hold(t.Context(), h.WantStanding("h6", "bob", 1))
		if !errors.Is(seat, want) || !errors.Is(place, want) {
			t.Errorf("got %v and %v, want %v", seat, place, want)
		}
	}
	refused(allocator.ErrAllHeld)
	for i, id := range []string{"h1", "h4", "h2"} {
		cells := [][]string{Seats(0), Seats(1), {"S-00000"}}[i]
		if err := b.Locks.Book(t.Context(), h.Event, id, cells); err != nil {
			t.Fatal(err)
		}
	}
	refused(allocator.ErrSoldOut)
	b.Check(t, h.Event)
}

// endRaces lets a release, the end of the time and a checkout meet. Whichever
// comes first wins, and what it leaves is one state everywhere.
func endRaces(t *testing.T, b Backend) {
	h := NewHall(t, b.Locks, 40, 0)
	brief := h.Brief(5 * time.Millisecond)
	for i := range 40 {
		must[allocator.Hold](t)(b.Locks.Hold(t.Context(), brief.Want(fmt.Sprint("h", i), fmt.Sprint("fan", i), i)))
	}
	var paying atomic.Int64
	crowd(160, func(i int) {
		id, holder := fmt.Sprint("h", i/4), fmt.Sprint("fan", i/4)
		var err error
		switch i % 4 {
		case 0:
			err = b.Locks.Release(t.Context(), h.Event, id, holder)
		case 1:
			_, err = b.Locks.Sweep(t.Context(), h.Event, 3)
		case 2:
			_, err = b.Locks.BeginPayment(t.Context(), h.Event, id, holder, time.Now().Add(time.Minute))
			if err == nil {
				paying.Add(1)
			} else if errors.Is(err, allocator.ErrHoldExpired) {
				err = nil
			}
		case 3:
			_, err = b.Locks.Hold(t.Context(), h.Want("late-"+id, "late-"+holder, i/4))
			var conflict *allocator.ConflictError
			if errors.As(err, &conflict) || errors.Is(err, allocator.ErrAllHeld) {
				err = nil
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	b.Check(t, h.Event)
	for i := range 40 {
		hold, err := b.Locks.Get(t.Context(), h.Event, fmt.Sprint("h", i), fmt.Sprint("fan", i))
		if err == nil && hold.Paying {
			paying.Add(-1)
		}
	}
	if paying.Load() != 0 {
		t.Errorf("%d checkouts succeeded and yet their hold is not paying", paying.Load())
	}
}
