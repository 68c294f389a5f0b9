// Package allocator sells cells: it holds them for a while, claims them before
// money moves, takes payment once and books them, and never sells one twice.
//
// This package is the domain and its ports. The adapters live below it:
// redislock (timed locks in Redis), pgstore (the truth in PostgreSQL), payment
// (providers), httpapi (the surface) and livemap (the map everybody watches).
// None of it imports Caddy.
//
//	hold ──► claim (PAYING, committed) ──► authorise ──► BOOKED (committed, outbox) ──► capture
//	Redis    PostgreSQL                    provider      PostgreSQL                     provider
package allocator

import (
	"fmt"
	"time"
)

// Event is one thing on sale: its cells, its prices and the rules of its sale.
type Event struct {
	ID         int64
	Slug       string // in URLs and Redis keys: 1-64 of [a-z0-9-], never changed
	Name       string
	Room       string // audience that a pass must carry; usually the waiting room's name
	Currency   string // ISO 4217, upper case
	Phase      Phase
	Epoch      int64         // bumped by every rebuild of the Redis state, so fences never go backwards
	HoldTTL    time.Duration // how long a hold lasts; default 5m
	PayTTL     time.Duration // how long a payment may take once it has begun; default 10m
	MaxPerPass int           // cells one pass may have, held and booked together; default 6
	Capacity   int           // number of cells that can be sold (blocked ones not counted)
	LayoutHash string        // hex SHA-256 of the published layout document
}

// Phase says whether an event sells.
type Phase string

// The phases of an event, in order.
const (
	PhaseDraft  Phase = "draft"
	PhaseOpen   Phase = "open"
	PhaseClosed Phase = "closed"
)

// Cell is the unit of inventory: a seat or a numbered unit of a standing area.
type Cell struct {
	ID       string // unique in its event; 1-64 bytes of printable ASCII without space, '{' and '}'
	Ordinal  int    // place in the live map, 0..n-1; immutable once published
	Category int    // index into the event's categories
	Area     string // standing area the unit belongs to; empty for a seat
	Blocked  bool   // not for sale
}

// CellState is what the live map shows for a cell, in two bits.
type CellState uint8

// The states of a cell on the map. Paying is shown as held.
const (
	Free CellState = iota
	Held
	Booked
	Blocked
)

// Category groups cells that cost the same.
type Category struct {
	Name  string `json:"name"`
	Color string `json:"color,omitempty"`
	Price int64  `json:"price"` // minor units, fees included
}

// Hold is a timed lock on some cells of one event, bound to one pass.
type Hold struct {
	ID       string // "h_", the event's slug, "_" and a UUID made from holder and idempotency key: a repeat finds it
	Event    string // slug
	Holder   string // subject of the pass: the visitor
	Cells    []string
	Fence    int64 // epoch<<40 | counter: grows with every hold, also over data loss
	Paying   bool  // a payment has begun; the hold no longer ends by its own timer
	Expires  time.Time
	MadeAt   time.Time
	Category []int // of each cell in Cells
}

// BookingState is where a booking stands. It only ever moves forward; see Next.
type BookingState string

// The states of a booking. Claimed, Authorising and Authorised have PAYING
// claims; Booked and Captured have BOOKED ones; the others have none.
const (
	Claimed     BookingState = "claimed"     // cells are ours, no money has been asked for
	Authorising BookingState = "authorising" // the provider was called; its answer is not recorded yet
	BookedState BookingState = "booked"      // sold; capture is in the outbox
	Captured    BookingState = "captured"    // sold and paid
	Declined    BookingState = "declined"    // the provider refused; the cells went back to the hold or free
	Expired     BookingState = "expired"     // the deadline passed and the payment was cancelled
	Attention   BookingState = "attention"   // sold, but the money needs a person
)

// Booking is the customer's result.
type Booking struct {
	ID        string // "b_" and a UUID, known before the claim so that a lost commit can be looked up
	EventID   int64
	Event     string // slug
	HoldID    string
	Holder    string
	Buyer     Buyer
	Cells     []string
	Fence     int64
	State     BookingState
	Amount    Money
	Attempt   int    // payment attempts so far; each has its own provider key
	Method    string // token of the means of payment: a repeated call must be the same call
	PaymentID string // the provider's
	Reason    string // why it was declined or needs attention; a code, never provider text
	Deadline  time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Buyer is who gets the tickets.
type Buyer struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Money is an amount in the minor units of a currency.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// String is for logs; pages format money themselves.
func (m Money) String() string { return fmt.Sprintf("%d %s", m.Amount, m.Currency) }

// Counts says how an event's cells stand. Free+Held+Booked is the capacity.
type Counts struct {
	Free, Held, Booked int
	ByCategory         []Counts  // indexed as the event's categories; nested once
	NextRelease        time.Time // when the next hold ends; zero without holds
}
