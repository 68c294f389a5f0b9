// Package lockstest is the suite that every implementation of allocator.Locks
// passes. It knows nothing of Redis: what only one implementation has (its
// keys, its ways to fail) is tested beside that implementation.
package lockstest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Backend is one implementation under test, with a server of its own.
type Backend struct {
	Locks allocator.Locks
	// Check fails the test unless the state of the event is consistent: counters
	// are what the locks say (I5), the map too (I4), and no area is oversold (I7).
	Check func(t Reporter, e *allocator.Event)
}

// Reporter is the part of testing.TB that rapid's tests have too.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// Hall is an event to test with: seats A-001… in two categories by turns, one
// seat that is not for sale, and a standing area S.
type Hall struct {
	*allocator.Event
	Cells []allocator.Cell
}

// NewHall makes a hall of that many seats and standing places and builds it.
func NewHall(t testing.TB, locks allocator.Locks, seats, standing int) Hall {
	t.Helper()
	e := &allocator.Event{
		Slug: "hall-" + uuid.NewString()[:8], Phase: allocator.PhaseOpen, Currency: "EUR",
		Epoch: 1, HoldTTL: time.Minute, PayTTL: time.Minute, MaxPerPass: 6, Capacity: seats + standing,
	}
	h := Hall{Event: e}
	for i := range seats {
		h.Cells = append(h.Cells, allocator.Cell{ID: Seat(i), Ordinal: i, Category: i % 2})
	}
	h.Cells = append(h.Cells, allocator.Cell{ID: BlockedSeat, Ordinal: seats, Blocked: true})
	for i := range standing {
		h.Cells = append(h.Cells, allocator.Cell{ID: fmt.Sprintf("S-%05d", i), Ordinal: seats + 1 + i, Category: 2, Area: Area})
	}
	if err := locks.Rebuild(t.Context(), e, h.Cells, nil); err != nil {
		t.Fatal(err)
	}
	return h
}

// Names of a Hall.
const (
	BlockedSeat = "X-001"
	Area        = "S"
)

// Seat is the id of the i-th seat.
func Seat(i int) string { return fmt.Sprintf("A-%05d", i) }

// Seats are the ids of some seats.
func Seats(i ...int) []string {
	ids := make([]string, len(i))
	for n, seat := range i {
		ids[n] = Seat(seat)
	}
	return ids
}

// Want asks for seats in the name of a holder.
func (h Hall) Want(id, holder string, seats ...int) allocator.HoldRequest {
	return allocator.HoldRequest{Event: h.Event, HoldID: id, Holder: holder, Cells: Seats(seats...)}
}

// WantStanding asks for places in the standing area.
func (h Hall) WantStanding(id, holder string, n int) allocator.HoldRequest {
	return allocator.HoldRequest{Event: h.Event, HoldID: id, Holder: holder, Area: Area, Quantity: n}
}

// Brief makes the holds that follow end after d.
func (h Hall) Brief(d time.Duration) Hall {
	e := *h.Event
	e.HoldTTL = d
	h.Event = &e
	return h
}

// Run runs the suite. open is called once for each test.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for _, tt := range []struct {
		promise string
		test    func(t *testing.T, b Backend)
	}{
		{"a hold takes all its cells or none", allOrNone},
		{"a repeated hold finds itself", repeatedHold},
		{"a hold is its holder's only", foreignHolder},
		{"what cannot be held is refused", refusals},
		{"of many who want one seat one gets it", oneSeat},
		{"overlapping wishes never share a seat", overlappingSets},
		{"a pass holds no more than its limit", passLimit},
		{"what a pass has bought counts for its limit, over a rebuild too", boughtLimit},
		{"the last standing places are sold once", lastStanding},
		{"a standing area never gives a part", standingAllOrNone},
		{"all held and sold out are told apart", heldOrSoldOut},
		{"an ended hold that nobody swept stands in nobody's way", takeover},
		{"an ended hold is told from an unknown one", endedHold},
		{"a payment stops the timer and a refusal starts it again", payment},
		{"a booking overrules every lock", bookingWins},
		{"freeing touches only what the hold owns", freeOwnOnly},
		{"release, expiry and checkout at once leave one outcome", endRaces},
		{"a rebuild shows what the database says", rebuild},
		{"an older rebuild cannot undo a newer one", rebuildRace},
		{"without state everybody is told to rebuild", withoutState},
		{"anything done in any order agrees with the model", againstModel},
	} {
		t.Run(tt.promise, func(t *testing.T) {
			t.Parallel()
			tt.test(t, open(t))
		})
	}
}

// await polls until done, for what only the server's own clock can bring about.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// must is for calls that the test is not about.
func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
