// Package sale sells: it holds cells, takes payment exactly once and books, and
// finishes by itself whatever was left in the middle. It knows the ports of
// package allocator and of package payment, and no server.
//
//	Hold ─► Checkout: BeginPayment ─► Claim ─► Authorising ─► provider ─► BOOKED ─► (outbox) capture
//	                  Redis           database  database        │          database
//	                                                            └ declined: the hold goes on
//
// What must hold, whatever dies in between: a conflict is found before money is
// asked for (Claim is first); no call to a provider is made that the database does
// not know about (Authorising is committed before it); the same attempt always has
// the same provider key, so repeating it finds the first one's effect; a cell that
// is being paid for is given back only when the provider has said that the payment
// can never succeed; and no port is called while another call holds anything.
package sale

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// Deps are what a sale works with. All are required but SoldOut and Step.
type Deps struct {
	Store    allocator.Store
	Outbox   allocator.Outbox
	Webhooks allocator.Webhooks
	Locks    allocator.Locks
	Provider payment.Provider
	Clock    clock.Clock
	Log      *slog.Logger

	// SoldOut says, without asking any server, that an event is known to be sold
	// out: what is left of the crowd then costs nothing.
	SoldOut func(ctx context.Context, slug string) bool

	// Step is told what has just been done, by name. An error stops the work there,
	// as the death of the process would; tests use it to die everywhere once.
	Step func(name string) error
}

const (
	// providerTimeout bounds one call to the provider while a fan waits for it.
	providerTimeout = 15 * time.Second
	// resumeAfter is how long a booking may stand still before recovery looks at
	// it. If somebody is still at work on it, both come to the same end.
	resumeAfter = 10 * time.Second
	// cancelGrace is how long after its deadline a payment is cancelled: longer than
	// a call that began before it takes together with its commit (15 s and some 7 s).
	// So nobody books on the word of a provider who has meanwhile been told to cancel.
	cancelGrace = 30 * time.Second
)

// Sale is safe for concurrent use. Any number of processes may run one.
type Sale struct {
	deps     Deps
	metrics  *metrics
	rebuilds singleflight.Group
	reads    singleflight.Group // of events

	mu     sync.Mutex
	events map[string]cachedEvent // by slug; guarded by mu
	good   map[string]int64       // by slug: the newest epoch whose locks were there
	prices map[int64][]allocator.Category
}

// New returns a sale. Nothing is called before it is used.
func New(d Deps) *Sale {
	if d.Step == nil {
		d.Step = func(string) error { return nil }
	}
	if d.SoldOut == nil {
		d.SoldOut = func(context.Context, string) bool { return false }
	}
	return &Sale{
		deps: d, metrics: newMetrics(),
		events: make(map[string]cachedEvent), good: make(map[string]int64), prices: make(map[int64][]allocator.Category),
	}
}

// ErrPaymentUnderWay says that another checkout of the same hold is not over.
var ErrPaymentUnderWay = errors.New("a payment for this hold is under way")
