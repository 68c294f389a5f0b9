// Package sandbox is a payment provider for demos, rehearsals and tests. No money
// exists in it, but it keeps state as a real one does: a key is one payment
// however often it is used, payments take time, answers get lost, webhooks come
// late, twice and in any order, and a cancellation can come too late.
//
// What a payment does is said by its method:
//
//	tok_ok            authorised at once
//	tok_declined      declined: card-declined
//	tok_insufficient  declined: insufficient-funds
//	tok_expired       declined: expired-card
//	tok_slow          authorised, after Options.Slow
//	tok_pending       pending, and authorised after Options.Decide; a webhook says so
//	tok_refused_later pending, and declined after Options.Decide; a webhook says so
//	tok_never         pending until it is cancelled
//	tok_lost          authorised, but the first answer is lost
//	tok_no_capture    authorised; the capture is refused
//
// With a journal its payments survive the process.
package sandbox

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// Name is the provider's, as in webhook addresses.
const Name = "sandbox"

// Options of a provider. Zero values mean the defaults.
type Options struct {
	Clock   clock.Clock
	Journal string        // file that keeps the payments; none by default
	Slow    time.Duration // of tok_slow; default 3s
	Decide  time.Duration // after which a pending payment is decided; default 5s
	Secret  []byte        // signs webhooks
	// Deliver sends a webhook. An error makes it come again. None by default. It is
	// called from several goroutines at once: webhooks overtake each other.
	Deliver func(ctx context.Context, body []byte, signature string) error
	// Late holds every webhook back for that long; none by default.
	Late time.Duration
	// Twice sends every webhook a second time, at once with the first.
	Twice bool
	// Reversed sends webhooks in pairs, the later one first.
	Reversed bool
}

// Defaults of Options.
const (
	DefaultSlow   = 3 * time.Second
	DefaultDecide = 5 * time.Second
)

// Provider implements payment.Provider. Safe for concurrent use. Close it.
type Provider struct {
	o        Options
	journal  *journal
	webhooks *webhooks

	mu       sync.Mutex
	payments map[string]*record // by id
	keys     map[string]*record // by the key of its Authorise
	busy     map[string]bool    // keys whose Authorise is under way
	bookings map[string][]*record
}

// record is a payment as it is kept.
type record struct {
	payment.Payment
	Key     string
	Method  string
	Decided time.Time // when a pending one decides itself; zero for never
}

// New opens a provider. Errors: a journal that cannot be read or written.
func New(o Options) (*Provider, error) {
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Slow == 0 {
		o.Slow = DefaultSlow
	}
	if o.Decide == 0 {
		o.Decide = DefaultDecide
	}
	p := &Provider{
		o: o, payments: make(map[string]*record), keys: make(map[string]*record),
		busy: make(map[string]bool), bookings: make(map[string][]*record),
	}
	if o.Journal != "" {
		j, kept, err := openJournal(o.Journal)
		if err != nil {
			return nil, err
		}
		p.journal = j
		for _, r := range kept {
			p.keepLocked(r)
		}
	}
	p.webhooks = newWebhooks(p)
	return p, nil
}

// Close stops sending webhooks and closes the journal.
func (p *Provider) Close() error {
	p.webhooks.close()
	if p.journal == nil {
		return nil
	}
	return p.journal.close()
}

// Name implements payment.Provider.
func (p *Provider) Name() string { return Name }

// Authorise implements payment.Provider.
func (p *Provider) Authorise(ctx context.Context, r payment.Request) (payment.Payment, error) {
	if r.Key == "" || r.Booking == "" || r.Amount < 0 || len(r.Currency) != 3 {
		return payment.Payment{}, fmt.Errorf("sandbox: an authorisation needs key, booking, amount and currency")
	}
	if err := ctx.Err(); err != nil {
		return payment.Payment{}, fmt.Errorf("%w: %w", payment.ErrUnknown, err)
	}
	known, err := p.begin(r)
	if err != nil || known != nil {
		return p.current(known), err
	}
	defer p.end(r.Key)
	if r.Method == "tok_slow" {
		if err := p.wait(ctx, p.o.Slow); err != nil {
			return payment.Payment{}, err
		}
	}
	made, err := p.decide(r)
	if err != nil {
		return payment.Payment{}, err
	}
	if r.Method == "tok_lost" {
		return payment.Payment{}, payment.ErrUnknown
	}
	return made, nil
}

// begin finds what a key stands for already, or reserves it.
func (p *Provider) begin(r payment.Request) (*record, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[r.Key] {
		return nil, payment.ErrKeyInUse
	}
	if known := p.keys[r.Key]; known != nil {
		if known.Booking != r.Booking || known.Amount != r.Amount || known.Currency != r.Currency || known.Method != r.Method {
			return nil, payment.ErrKeyReused
		}
		return known, nil
	}
	p.busy[r.Key] = true
	return nil, nil //nolint:nilnil // the key is new
}

func (p *Provider) end(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, key)
}

// wait waits by the provider's clock.
func (p *Provider) wait(ctx context.Context, d time.Duration) error {
	ticker := p.o.Clock.NewTicker(d)
	defer ticker.Stop()
	select {
	case <-ticker.C():
		return nil
	case <-ctx.Done():
		// The call had no effect yet, but nobody on the other side can know that.
		return fmt.Errorf("%w: %w", payment.ErrUnknown, ctx.Err())
	}
}

func (p *Provider) decide(r payment.Request) (payment.Payment, error) {
	made := &record{
		Payment: payment.Payment{ID: "sb_" + uuid.NewString(), Booking: r.Booking, Status: payment.Authorised, Amount: r.Amount, Currency: r.Currency},
		Key:     r.Key, Method: r.Method,
	}
	switch r.Method {
	case "tok_ok", "tok_slow", "tok_lost", "tok_no_capture":
	case "tok_declined":
		made.Status, made.Reason = payment.Declined, "card-declined"
	case "tok_insufficient":
		made.Status, made.Reason = payment.Declined, "insufficient-funds"
	case "tok_expired":
		made.Status, made.Reason = payment.Declined, "expired-card"
	case "tok_pending", "tok_refused_later":
		made.Status, made.Decided = payment.Pending, p.o.Clock.Now().Add(p.o.Decide)
	case "tok_never":
		made.Status = payment.Pending
	default:
		made.Status, made.Reason = payment.Declined, "unknown-method"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.storeLocked(made); err != nil {
		return payment.Payment{}, err
	}
	p.webhooks.note(made.Payment)
	return made.Payment, nil
}

// storeLocked keeps a record, in the journal first.
func (p *Provider) storeLocked(r *record) error {
	if p.journal != nil {
		if err := p.journal.write(r); err != nil {
			return err
		}
	}
	p.keepLocked(r)
	return nil
}

func (p *Provider) keepLocked(r *record) {
	if p.payments[r.ID] == nil {
		p.bookings[r.Booking] = append(p.bookings[r.Booking], r)
	} else {
		of := p.bookings[r.Booking]
		of[slices.IndexFunc(of, func(old *record) bool { return old.ID == r.ID })] = r
	}
	p.payments[r.ID], p.keys[r.Key] = r, r
}

// Capture implements payment.Provider.
func (p *Provider) Capture(_ context.Context, id, _ string) (payment.Payment, error) {
	return p.move(id, func(r *record) error {
		switch {
		case r.Status == payment.Authorised && r.Method == "tok_no_capture":
			r.Status, r.Reason = payment.Cancelled, "authorisation-lapsed"
		case r.Status == payment.Authorised:
			r.Status = payment.Succeeded
		case r.Status == payment.Pending:
			return fmt.Errorf("sandbox: payment %s is pending and cannot be captured", id)
		}
		return nil
	})
}

// Cancel implements payment.Provider.
func (p *Provider) Cancel(_ context.Context, id, _ string) (payment.Payment, error) {
	return p.move(id, func(r *record) error {
		switch r.Status {
		case payment.Succeeded:
			return payment.ErrTooLate
		case payment.Pending, payment.Authorised:
			r.Status, r.Reason = payment.Cancelled, ""
		case payment.Cancelled, payment.Declined:
		}
		return nil
	})
}

// move changes a payment, once its own time has been taken into account.
func (p *Provider) move(id string, change func(r *record) error) (payment.Payment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.payments[id]
	if old == nil {
		return payment.Payment{}, payment.ErrNotFound
	}
	next := *p.ripeLocked(old)
	before := next.Status
	if err := change(&next); err != nil {
		return payment.Payment{}, err
	}
	if next.Status == before {
		return next.Payment, nil
	}
	if err := p.storeLocked(&next); err != nil {
		return payment.Payment{}, err
	}
	p.webhooks.note(next.Payment)
	return next.Payment, nil
}

// ripeLocked decides a pending payment whose time has come.
func (p *Provider) ripeLocked(r *record) *record {
	if r.Status != payment.Pending || r.Decided.IsZero() || p.o.Clock.Now().Before(r.Decided) {
		return r
	}
	next := *r
	next.Status = payment.Authorised
	if r.Method == "tok_refused_later" {
		next.Status, next.Reason = payment.Declined, "card-declined"
	}
	if p.storeLocked(&next) != nil {
		return r // the disk is full: it stays pending until it is not
	}
	p.webhooks.note(next.Payment)
	return &next
}

// Get implements payment.Provider.
func (p *Provider) Get(_ context.Context, id string) (payment.Payment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.payments[id]
	if r == nil {
		return payment.Payment{}, payment.ErrNotFound
	}
	return p.ripeLocked(r).Payment, nil
}

// Find implements payment.Provider.
func (p *Provider) Find(_ context.Context, booking string) ([]payment.Payment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []payment.Payment
	for _, r := range slices.Clone(p.bookings[booking]) {
		all = append(all, p.ripeLocked(r).Payment)
	}
	return all, nil
}

// current is what a known payment is by now.
func (p *Provider) current(r *record) payment.Payment {
	if r == nil {
		return payment.Payment{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ripeLocked(p.payments[r.ID]).Payment
}

// Payments lists all payments, for checks after the fact.
func (p *Provider) Payments() []payment.Payment {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]payment.Payment, 0, len(p.payments))
	for _, r := range p.payments {
		all = append(all, p.ripeLocked(r).Payment)
	}
	return all
}

var _ payment.Provider = (*Provider)(nil)
