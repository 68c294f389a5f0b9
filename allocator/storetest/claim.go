package storetest

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

func claimAllOrNone(t *testing.T, b Backend) {
	h := Build(t, b, 10)
	first := h.Booking(3, 1, 2) // the order that was asked in is nobody's business
	if err := b.Claim(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second := h.Booking(4, 3, 5, 1)
	err := b.Claim(t.Context(), second)
	var conflict *allocator.ConflictError
	if !errors.As(err, &conflict) || !slices.Equal(conflict.Cells, []string{Seat(1), Seat(3)}) {
		t.Fatalf("got %v, want a conflict over seats 1 and 3", err)
	}
	if live := h.live(t); len(live) != 3 || live[Seat(1)] {
		t.Errorf("the refused claim left something behind: %v", live)
	}
	if _, err := b.Booking(t.Context(), second.ID); !errors.Is(err, allocator.ErrBookingUnknown) {
		t.Errorf("the refused booking is there: %v", err)
	}
	want := *first
	slices.Sort(want.Cells)
	if got, err := b.Booking(t.Context(), first.ID); err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v (%v)\nwant %+v", got, err, want)
	}
	taken, err := b.Taken(t.Context(), h.ID)
	if err != nil || len(taken) != 3 {
		t.Fatalf("taken: %v (%v)", taken, err)
	}
	wantTaken := allocator.Taken{Cell: Seat(1), HoldID: first.HoldID, Holder: first.Holder, Until: first.Deadline}
	if taken[0] != wantTaken {
		t.Errorf("got %+v, want %+v", taken[0], wantTaken)
	}
}

func claimRepeated(t *testing.T, b Backend) {
	h := Build(t, b, 10)
	first := h.Claimed(t, 1, 2)
	again := *first
	again.Cells = []string{Seat(2), Seat(1)}
	if err := b.Claim(t.Context(), &again); err != nil {
		t.Fatalf("repeated: %v", err)
	}
	first.Attempt = 1
	h.move(t, first, allocator.Authorising, allocator.Claimed)
	if err := b.Claim(t.Context(), &again); err != nil {
		t.Fatalf("repeated after a move: %v", err)
	}
	if got, err := b.Booking(t.Context(), first.ID); err != nil || got.State != allocator.Authorising || got.Attempt != 1 {
		t.Errorf("the repetition changed the booking to %+v (%v)", got, err)
	}
	other := *first
	other.Cells = []string{Seat(3)}
	if err := b.Claim(t.Context(), &other); err == nil || errors.Is(err, allocator.ErrUnavailable) {
		t.Errorf("other cells under the same id: got %v, want a refusal", err)
	}
	foreign := *first
	foreign.Holder = "somebody else"
	if err := b.Claim(t.Context(), &foreign); err == nil {
		t.Error("somebody else found the booking")
	}
	if live := h.live(t); len(live) != 2 {
		t.Errorf("live: %v", live)
	}

	together := h.Booking(5, 6) // and at the same time
	var all errgroup.Group
	for range 10 {
		all.Go(func() error { return b.Claim(t.Context(), together) })
	}
	if err := all.Wait(); err != nil {
		t.Errorf("repeated at the same time: %v", err)
	}
}

func claimRefused(t *testing.T, b Backend) {
	h := Build(t, b, 10)
	var conflict *allocator.ConflictError
	blocked := h.Booking(1)
	blocked.Cells = append(blocked.Cells, BlockedSeat)
	if err := b.Claim(t.Context(), blocked); !errors.As(err, &conflict) || !slices.Equal(conflict.Cells, []string{BlockedSeat}) {
		t.Errorf("a blocked seat: got %v, want a conflict over it", err)
	}
	nowhere := h.Booking(1, 99)
	if err := b.Claim(t.Context(), nowhere); !errors.Is(err, allocator.ErrCellUnknown) {
		t.Errorf("a cell that does not exist: got %v", err)
	}
	elsewhere := h.Booking(1)
	elsewhere.EventID++
	if err := b.Claim(t.Context(), elsewhere); !errors.Is(err, allocator.ErrCellUnknown) {
		t.Errorf("an event that does not exist: got %v", err)
	}
	for name, cells := range map[string][]string{"none": nil, "one twice": {Seat(1), Seat(1)}, "thousands": make([]string, 10_000)} {
		n := h.Booking()
		n.Cells = cells
		if err := b.Claim(t.Context(), n); err == nil || errors.Is(err, allocator.ErrUnavailable) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	if live := h.live(t); len(live) != 0 {
		t.Errorf("live: %v", live)
	}
}

// contenders is how many go for the same thing at once.
const contenders = 200

func claimOneCell(t *testing.T, b Backend) {
	h := Build(t, b, 3)
	var won, lost atomic.Int64
	var all errgroup.Group
	for range contenders {
		all.Go(func() error {
			err := b.Claim(t.Context(), h.Booking(1))
			var conflict *allocator.ConflictError
			switch {
			case err == nil:
				won.Add(1)
			case errors.As(err, &conflict) && slices.Equal(conflict.Cells, []string{Seat(1)}):
				lost.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil || won.Load() != 1 || lost.Load() != contenders-1 {
		t.Fatalf("%d won, %d lost (%v)", won.Load(), lost.Load(), err)
	}
	if live := h.live(t); len(live) != 1 {
		t.Errorf("live: %v", live)
	}
}

func claimOpposite(t *testing.T, b Backend) {
	const seats, rounds = 12, 40
	h := Build(t, b, seats)
	var won atomic.Int64
	var all errgroup.Group
	for worker := range 8 {
		all.Go(func() error {
			for range rounds {
				wish := rand.Perm(seats)[:6]
				slices.Sort(wish)
				if worker%2 == 1 {
					slices.Reverse(wish)
				}
				n := h.Booking(wish...)
				err := b.Claim(t.Context(), n)
				var conflict *allocator.ConflictError
				if errors.As(err, &conflict) {
					continue
				}
				if err != nil {
					return err
				}
				won.Add(1)
				if moved, err := b.Advance(t.Context(), n, allocator.Expired, allocator.Claimed); err != nil || !moved {
					return errors.Join(err, errors.New("the claim could not be released"))
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil || won.Load() == 0 {
		t.Fatalf("%d won: %v", won.Load(), err)
	}
	if live := h.live(t); len(live) != 0 {
		t.Errorf("live: %v", live)
	}
}

func releasedAndSold(t *testing.T, b Backend) {
	h := Build(t, b, 4)
	for _, end := range []allocator.BookingState{allocator.Declined, allocator.Expired} {
		first := h.Claimed(t, 1, 2)
		h.move(t, first, end, allocator.Claimed)
		if live := h.live(t); len(live) != 0 {
			t.Errorf("after %s: %v", end, live)
		}
	}
	sold := h.Booked(t, 1, 2)
	live := h.live(t)
	if len(live) != 2 || !live[Seat(1)] || !live[Seat(2)] {
		t.Errorf("live: %v", live)
	}
	taken, err := b.Taken(t.Context(), h.ID)
	if err != nil || len(taken) != 2 || taken[0].Holder != sold.Holder || taken[1].HoldID != sold.HoldID {
		t.Errorf("taken: %+v (%v), want to know whose", taken, err)
	}
	var conflict *allocator.ConflictError
	if err := b.Claim(t.Context(), h.Booking(2, 3)); !errors.As(err, &conflict) || !slices.Equal(conflict.Cells, []string{Seat(2)}) {
		t.Errorf("got %v, want a conflict over seat 2", err)
	}
}

func bookingOfHold(t *testing.T, b Backend) {
	h := Build(t, b, 10)
	find := func(of *allocator.Booking, holder string, want error) {
		t.Helper()
		got, err := b.BookingOfHold(t.Context(), of.HoldID, holder)
		if !errors.Is(err, want) || err == nil && (got.ID != of.ID || got.State != of.State || len(got.Cells) != len(of.Cells)) {
			t.Errorf("of a %s hold got %+v (%v), want %v", of.State, got, err, want)
		}
	}
	sold := h.Booked(t, 1, 2)
	for _, state := range []allocator.BookingState{allocator.BookedState, allocator.Attention, allocator.Captured} {
		if state != sold.State {
			h.move(t, sold, state, sold.State)
		}
		find(sold, sold.Holder, nil)
		find(sold, "somebody else", allocator.ErrBookingUnknown)
	}
	open := h.Claimed(t, 3)
	find(open, open.Holder, allocator.ErrBookingUnknown)
	open.Attempt = 1
	h.move(t, open, allocator.Authorising, allocator.Claimed)
	find(open, open.Holder, allocator.ErrBookingUnknown)
	h.move(t, open, allocator.Declined, allocator.Authorising)
	find(open, open.Holder, allocator.ErrBookingUnknown)
	again := h.Booking(3) // the same hold, with another means of payment
	again.HoldID, again.Holder = open.HoldID, open.Holder
	if err := b.Claim(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	again.Attempt, again.PaymentID = 1, "pay_again"
	h.move(t, again, allocator.Authorising, allocator.Claimed)
	h.move(t, again, allocator.BookedState, allocator.Authorising)
	find(again, again.Holder, nil)
	if _, err := b.BookingOfHold(t.Context(), "never\x00made", "ann"); !errors.Is(err, allocator.ErrBookingUnknown) {
		t.Errorf("of a hold never made: %v", err)
	}
}
