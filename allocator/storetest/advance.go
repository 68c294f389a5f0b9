package storetest

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

func advanceOnce(t *testing.T, b Backend) {
	h := Build(t, b, 10)
	for _, ends := range [][]allocator.BookingState{
		{allocator.BookedState}, {allocator.Declined, allocator.Expired, allocator.BookedState},
	} {
		first := h.Claimed(t, 1, 2)
		first.Attempt, first.PaymentID = 1, "pay_1"
		h.move(t, first, allocator.Authorising, allocator.Claimed)
		var won atomic.Int64
		var winner atomic.Value
		var all errgroup.Group
		for i := range 60 {
			all.Go(func() error {
				mine, to := *first, ends[i%len(ends)]
				moved, err := b.Advance(t.Context(), &mine, to, allocator.Claimed, allocator.Authorising)
				if moved {
					won.Add(1)
					winner.Store(to)
				}
				return err
			})
		}
		if err := all.Wait(); err != nil || won.Load() != 1 {
			t.Fatalf("%d moves to %v were made (%v)", won.Load(), ends, err)
		}
		got, err := b.Booking(t.Context(), first.ID)
		if err != nil || got.State != winner.Load() {
			t.Errorf("the booking is %s, the winner moved it to %s (%v)", got.State, winner.Load(), err)
		}
		want := map[allocator.BookingState][]allocator.TaskKind{
			allocator.BookedState: {allocator.TaskCapture, allocator.TaskMark},
			allocator.Declined:    {allocator.TaskUnpay}, allocator.Expired: {allocator.TaskFree},
		}[got.State]
		if tasks := kinds(t, b, first.ID); !slices.Equal(tasks, want) {
			t.Errorf("tasks of %s: %v, want %v", got.State, tasks, want)
		}
		if live := h.live(t); len(live) == 2 != (got.State == allocator.BookedState) {
			t.Errorf("claims of %s: %v", got.State, live)
		}
		h = Build(t, b, 10)
	}
}

func advanceFollows(t *testing.T, b Backend) {
	h := Build(t, b, 10)
	bystander := h.Claimed(t, 8, 9)
	for _, tt := range []struct {
		to    allocator.BookingState
		from  allocator.BookingState
		sold  bool
		live  int
		tasks []allocator.TaskKind
	}{
		{allocator.Authorising, allocator.Claimed, false, 2, nil},
		{allocator.Authorising, allocator.Authorising, false, 2, nil}, // looked at, nothing new
		{allocator.BookedState, allocator.Authorising, true, 2, []allocator.TaskKind{allocator.TaskCapture, allocator.TaskMark}},
		{allocator.Attention, allocator.BookedState, true, 2, nil},
		{allocator.Captured, allocator.Attention, true, 2, nil},
	} {
		first, err := b.Booking(t.Context(), h.first(t).ID)
		if err != nil {
			t.Fatal(err)
		}
		first.Attempt++
		first.PaymentID, first.Method, first.Reason = "pay_1", "card_2", "why-"+string(tt.to)
		first.Deadline = first.Deadline.Add(time.Second)
		h.move(t, first, tt.to, tt.from)
		got, err := b.Booking(t.Context(), first.ID)
		if err != nil || got.State != tt.to || got.Attempt != first.Attempt || got.PaymentID != "pay_1" || got.Method != "card_2" ||
			got.Reason != first.Reason || !got.Deadline.Equal(first.Deadline) || !got.UpdatedAt.Equal(first.UpdatedAt) || !got.CreatedAt.Equal(first.CreatedAt) {
			t.Errorf("after %s: got %+v (%v), want %+v", tt.to, got, err, first)
		}
		live := h.live(t)
		if sold := live[Seat(1)]; sold != tt.sold || len(live) != tt.live+2 || live[Seat(8)] {
			t.Errorf("after %s: live %v", tt.to, live)
		}
		if tasks := kinds(t, b, first.ID); !slices.Equal(tasks, tt.tasks) {
			t.Errorf("after %s: tasks %v, want %v", tt.to, tasks, tt.tasks)
		}
	}
	if got, err := b.Booking(t.Context(), bystander.ID); err != nil || got.State != allocator.Claimed {
		t.Errorf("another booking was moved too: %+v (%v)", got, err)
	}
}

// first is the booking of seats 1 and 2, made when it is asked for first.
func (h Hall) first(t testing.TB) *allocator.Booking {
	t.Helper()
	n := h.Booking(1, 2)
	n.ID, n.HoldID, n.Holder = "b_00000000-0000-4000-8000-000000000001", "h_first", "ada"
	if err := h.store.Claim(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return n
}

func advanceForward(t *testing.T, b Backend) {
	h := Build(t, b, 10)
	sold, over := h.Booked(t, 1), h.Claimed(t, 2)
	over.Attempt, over.PaymentID = 1, "pay_2"
	h.move(t, over, allocator.Expired, allocator.Claimed)
	kinds(t, b, "")
	for _, tt := range []struct {
		booking *allocator.Booking
		to      allocator.BookingState
	}{
		{sold, allocator.Claimed}, {sold, allocator.Authorising}, {sold, allocator.Declined}, {sold, allocator.Expired},
		{over, allocator.Claimed}, {over, allocator.Authorising}, {over, allocator.BookedState}, {over, allocator.Captured},
		{sold, "refunded"}, {sold, ""},
	} {
		// Not even if it is asked for.
		if moved, err := b.Advance(t.Context(), tt.booking, tt.to, tt.booking.State); moved || err == nil {
			t.Errorf("%s moved to %q (%v)", tt.booking.State, tt.to, err)
		}
	}
	for _, from := range [][]allocator.BookingState{nil, {allocator.Claimed}, {allocator.Claimed, allocator.Authorising}} {
		if moved, err := b.Advance(t.Context(), sold, allocator.Expired, from...); moved || err != nil {
			t.Errorf("moved from %v although it is %s: %v, %v", from, sold.State, moved, err)
		}
	}
	if moved, err := b.Advance(t.Context(), h.Booking(3), allocator.Expired, allocator.Claimed); moved || err != nil {
		t.Errorf("a booking that is not there: %v, %v", moved, err)
	}
	if live := h.live(t); len(live) != 1 || !live[Seat(1)] {
		t.Errorf("live: %v", live)
	}
	if tasks, err := b.Lease(t.Context(), 10, time.Minute); err != nil || len(tasks) != 0 {
		t.Errorf("moves that were not made ordered %v (%v)", tasks, err)
	}
}

func unfinished(t *testing.T, b Backend) {
	h := Build(t, b, 10)
	var want []string
	for i := range 5 {
		n := h.Booking(i)
		n.UpdatedAt = n.UpdatedAt.Add(-time.Duration(i) * time.Minute)
		if err := b.Claim(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if i > 0 { // the first has moved just now
			want = append(want, n.ID)
		}
	}
	slices.Reverse(want)
	h.Booked(t, 7)
	over := h.Claimed(t, 8)
	h.move(t, over, allocator.Declined, allocator.Claimed)

	ask := func(limit int) (ids []string) {
		t.Helper()
		found, err := b.Unfinished(t.Context(), time.Now().Add(-30*time.Second), limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			ids = append(ids, f.ID)
		}
		return ids
	}
	if got := ask(10); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := ask(2); !slices.Equal(got, want[:2]) {
		t.Errorf("two of them: got %v, want %v", got, want[:2])
	}
	looked, err := b.Booking(t.Context(), want[0])
	if err != nil || len(looked.Cells) != 1 || looked.Event != h.Slug {
		t.Fatalf("got %+v (%v)", looked, err)
	}
	looked.Attempt = 1
	h.move(t, looked, allocator.Authorising, allocator.Claimed) // has moved: not still any more
	if got := ask(10); !slices.Equal(got, want[1:]) {
		t.Errorf("got %v, want %v", got, want[1:])
	}
}
