// Package storetest is the suite that every implementation of the database's ports
// passes: allocator.Store, Outbox, Idempotency and Webhooks. It knows nothing of
// PostgreSQL: what only one implementation has (its constraints, its ways to fail)
// is tested beside that implementation.
package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Backend is what the suite tests: one database as all of its ports.
type Backend interface {
	allocator.Store
	allocator.Outbox
	allocator.Idempotency
	allocator.Webhooks
}

// Run runs the suite. open is called once for each test and returns an empty,
// migrated database.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for _, tt := range []struct {
		promise string
		test    func(t *testing.T, b Backend)
	}{
		{"an event is found as it was created", createdEvent},
		{"an event is created whole or not at all", createdWhole},
		{"of many who create one event one does", createdOnce},
		{"an event's phase and epoch move forward", phaseAndEpoch},
		{"what is not there is unknown", unknown},
		{"a claim takes all its cells or none", claimAllOrNone},
		{"a repeated claim is the same claim", claimRepeated},
		{"a claim that makes no sense is refused", claimRefused},
		{"of many who claim one cell one gets it", claimOneCell},
		{"overlapping claims in opposite orders never wait for each other", claimOpposite},
		{"a move is made once", advanceOnce},
		{"a move takes its claims and its tasks along", advanceFollows},
		{"no booking moves back", advanceForward},
		{"a released cell can be claimed again and a sold one cannot", releasedAndSold},
		{"a hold that was sold is found by its holder alone", bookingOfHold},
		{"unfinished bookings are found, longest still first", unfinished},
		{"a leased task is nobody else's until its lease ends", outboxLease},
		{"two workers never have one task", outboxWorkers},
		{"a task put back comes again and a finished one does not", outboxRetry},
		{"a repeated request finds its first reply", idempotentReply},
		{"of many with one key one proceeds", idempotentOnce},
		{"a try that died is taken over", idempotentTakeover},
		{"a key is its scope's only and fits one request", idempotentScope},
		{"an abandoned key can be used again", idempotentAbandon},
		{"a key has 1 to 255 plain characters", idempotentKey},
		{"a reply too large is refused and an empty one kept", idempotentSize},
		{"old replies are forgotten, a limited number at a time", idempotentPrune},
		{"of many who note one webhook one is told that it is new", webhookOnce},
	} {
		t.Run(tt.promise, func(t *testing.T) {
			t.Parallel()
			tt.test(t, open(t))
		})
	}
}

// Hall is an event with seats A-0000…, in two categories by turns, and one more
// seat that is not for sale.
type Hall struct {
	*allocator.Event
	store Backend
}

// BlockedSeat is the seat of a Hall that is not for sale.
const BlockedSeat = "X-0000"

// Layout is the layout of every Hall; its bytes are not what a JSON encoder makes.
const Layout = "{ \"b\":1,\n\"a\":[2.50] }"

// NewHall describes a hall, in draft.
func NewHall(seats int) allocator.NewEvent {
	n := allocator.NewEvent{
		Event: allocator.Event{
			Slug: "hall-" + uuid.NewString()[:8], Name: "Großer Saal", Room: "hall", Currency: "EUR",
			Phase: allocator.PhaseDraft, Epoch: 1, HoldTTL: 5 * time.Minute, PayTTL: 10*time.Minute + 500*time.Millisecond,
			MaxPerPass: 6, Capacity: seats, LayoutHash: fmt.Sprintf("%064x", seats),
		},
		Categories: []allocator.Category{{Name: "Stalls", Color: "#c00", Price: 4500}, {Name: "Balcony", Price: 2950}},
		Layout:     []byte(Layout),
	}
	for i := range seats {
		n.Cells = append(n.Cells, allocator.Cell{ID: Seat(i), Ordinal: i, Category: i % 2})
	}
	n.Cells = append(n.Cells, allocator.Cell{ID: BlockedSeat, Ordinal: seats, Category: 1, Blocked: true})
	return n
}

// Build creates a hall.
func Build(t testing.TB, b Backend, seats int) Hall {
	t.Helper()
	e, err := b.CreateEvent(t.Context(), NewHall(seats))
	if err != nil {
		t.Fatal(err)
	}
	return Hall{e, b}
}

// Seat is the id of the i-th seat.
func Seat(i int) string { return fmt.Sprintf("A-%04d", i) }

// Booking is a booking of some seats that is about to be claimed.
func (h Hall) Booking(seats ...int) *allocator.Booking {
	now := time.Now().UTC().Truncate(time.Microsecond)
	b := &allocator.Booking{
		ID: "b_" + uuid.NewString(), EventID: h.ID, Event: h.Slug, HoldID: "h_" + h.Slug + "_" + uuid.NewString(),
		Holder: "visitor-" + uuid.NewString(), Buyer: allocator.Buyer{Name: "Ada", Email: "ada@example.org"},
		Fence: h.Epoch<<40 | 7, State: allocator.Claimed, Amount: allocator.Money{Amount: 4500 * int64(len(seats)), Currency: "EUR"},
		Method: "card_ok", Deadline: now.Add(10 * time.Minute), CreatedAt: now, UpdatedAt: now,
	}
	for _, i := range seats {
		b.Cells = append(b.Cells, Seat(i))
	}
	return b
}

// Claimed is a booking whose claim succeeded.
func (h Hall) Claimed(t testing.TB, seats ...int) *allocator.Booking {
	t.Helper()
	b := h.Booking(seats...)
	if err := h.store.Claim(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return b
}

// Booked is a booking that was claimed, paid for and sold.
func (h Hall) Booked(t testing.TB, seats ...int) *allocator.Booking {
	t.Helper()
	b := h.Claimed(t, seats...)
	b.Attempt, b.PaymentID = 1, "pay_"+b.ID
	h.move(t, b, allocator.Authorising, allocator.Claimed)
	h.move(t, b, allocator.BookedState, allocator.Authorising)
	return b
}

// move advances a booking that nobody else moves.
func (h Hall) move(t testing.TB, b *allocator.Booking, to allocator.BookingState, from ...allocator.BookingState) {
	t.Helper()
	b.UpdatedAt = time.Now().UTC().Truncate(time.Microsecond)
	moved, err := h.store.Advance(t.Context(), b, to, from...)
	if err != nil || !moved {
		t.Fatalf("moving to %s: %v, %v", to, moved, err)
	}
	b.State = to
}

// live are the cells with a live claim, and whether each is sold.
func (h Hall) live(t testing.TB) map[string]bool {
	t.Helper()
	taken, err := h.store.Taken(t.Context(), h.ID)
	if err != nil {
		t.Fatal(err)
	}
	cells := make(map[string]bool, len(taken))
	for _, c := range taken {
		if _, twice := cells[c.Cell]; twice {
			t.Errorf("cell %s is taken twice", c.Cell)
		}
		cells[c.Cell] = c.Booked
	}
	return cells
}

// kinds are the tasks that are due, as one worker gets them.
func kinds(t testing.TB, b Backend, booking string) []allocator.TaskKind {
	t.Helper()
	tasks, err := b.Lease(t.Context(), 1000, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var all []allocator.TaskKind
	for _, task := range tasks {
		if task.Booking == booking {
			all = append(all, task.Kind)
		}
		if err := b.Done(t.Context(), task.ID); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all
}

// await polls until done, for what only the database's own clock can bring about.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
