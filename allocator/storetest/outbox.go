package storetest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// lease takes what is due.
func lease(t testing.TB, b Backend, limit int, d time.Duration) []allocator.Task {
	t.Helper()
	tasks, err := b.Lease(t.Context(), limit, d)
	if err != nil {
		t.Fatal(err)
	}
	return tasks
}

func outboxLease(t *testing.T, b Backend) {
	h := Build(t, b, 10)
	var order []string
	for i := range 5 {
		n := h.Claimed(t, i)
		h.move(t, n, allocator.Expired, allocator.Claimed)
		order = append(order, n.ID)
	}
	first := lease(t, b, 2, time.Minute)
	if len(first) != 2 || first[0].Booking != order[0] || first[1].Booking != order[1] || first[0].Attempts != 0 || first[0].Kind != allocator.TaskFree {
		t.Fatalf("got %+v, want the two oldest of %v", first, order)
	}
	rest := lease(t, b, 10, 50*time.Millisecond)
	if len(rest) != 3 || rest[0].Booking != order[2] {
		t.Fatalf("got %+v, want the other three", rest)
	}
	var again []allocator.Task
	await(t, "the short lease has ended", func() bool {
		again = lease(t, b, 10, time.Minute)
		return len(again) > 0
	})
	for _, task := range again {
		if task.Attempts != 1 || slices.ContainsFunc(first, func(f allocator.Task) bool { return f.ID == task.ID }) {
			t.Errorf("got %+v, want only those of the short lease, tried once", task)
		}
	}
}

func outboxWorkers(t *testing.T, b Backend) {
	const bookings = 60
	h := Build(t, b, bookings)
	for i := range bookings {
		h.move(t, h.Claimed(t, i), allocator.Expired, allocator.Claimed)
	}
	var mu sync.Mutex
	seen := make(map[int64]int)
	var all errgroup.Group
	for range 8 {
		all.Go(func() error {
			for {
				tasks, err := b.Lease(t.Context(), 7, time.Minute)
				if err != nil || len(tasks) == 0 {
					return err
				}
				mu.Lock()
				for _, task := range tasks {
					seen[task.ID]++
				}
				mu.Unlock()
			}
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	// A worker that saw nothing because all due rows were being taken has stopped;
	// what it left is still due.
	for _, task := range lease(t, b, 1000, time.Minute) {
		seen[task.ID]++
	}
	if len(seen) != bookings {
		t.Errorf("%d tasks were handed out, want %d", len(seen), bookings)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("task %d was handed out %d times within one lease", id, n)
		}
	}
}

func outboxRetry(t *testing.T, b Backend) {
	h := Build(t, b, 2)
	h.move(t, h.Claimed(t, 0), allocator.Declined, allocator.Claimed)
	task := lease(t, b, 10, time.Hour)[0]
	// Errors of other systems are kept whatever is in them.
	if err := b.Retry(t.Context(), task.ID, time.Hour, strings.Repeat("é", 5000)+"\x00\xff"); err != nil {
		t.Fatal(err)
	}
	if early := lease(t, b, 10, time.Hour); len(early) != 0 {
		t.Errorf("due before its pause is over: %+v", early)
	}
	if err := b.Retry(t.Context(), task.ID, 0, "at once"); err != nil {
		t.Fatal(err)
	}
	again := lease(t, b, 10, 0)
	if len(again) != 1 || again[0].ID != task.ID || again[0].Attempts != 1 {
		t.Fatalf("got %+v, want the task again, tried once", again)
	}
	for range 2 {
		if err := b.Done(t.Context(), task.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Retry(t.Context(), task.ID, 0, "too late"); err != nil {
		t.Errorf("putting back what is done: %v", err)
	}
	if late := lease(t, b, 10, time.Hour); len(late) != 0 {
		t.Errorf("a finished task came again: %+v", late)
	}
}
