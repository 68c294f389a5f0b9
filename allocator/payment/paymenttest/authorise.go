package paymenttest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
)

func captured(t *testing.T, b Backend) {
	r := ask(b.OK)
	p := b.authorised(t, r)
	b.is(t, payment.Authorised, p)
	if p.ID == "" || p.Booking != r.Booking || p.Amount != r.Amount || p.Currency != r.Currency {
		t.Errorf("asked for %+v, got %+v", r, p)
	}
	for range 2 { // the answer to the first may have been lost
		b.is(t, payment.Succeeded, must(t)(b.capture(t, p)))
	}
}

func repeatedKey(t *testing.T, b Backend) {
	r := ask(b.OK)
	first := b.authorised(t, r)
	if again := b.authorised(t, r); again != first {
		t.Errorf("the same key made %+v and then %+v", first, again)
	}
	paid := must(t)(b.capture(t, first))
	if late := b.authorised(t, r); late.ID != first.ID {
		t.Errorf("the key of %+v made another payment after its capture: %+v", paid, late)
	}
	b.pays(t, r.Booking, 1)
}

// oneKeyAtOnce: a call may be told that another is under way, and then finds its
// payment; none makes a second.
func oneKeyAtOnce(t *testing.T, b Backend) {
	r := ask(b.OK)
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			for {
				_, err := b.Provider.Authorise(t.Context(), r)
				if errors.Is(err, payment.ErrKeyInUse) {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	calls.Wait()
	b.pays(t, r.Booking, 1)
}

func reusedKey(t *testing.T, b Backend) {
	r := ask(b.OK)
	first := b.authorised(t, r)
	for what, change := range map[string]func(*payment.Request){
		"another amount":   func(r *payment.Request) { r.Amount++ },
		"another currency": func(r *payment.Request) { r.Currency = "USD" },
		"another booking":  func(r *payment.Request) { r.Booking = "b_other" },
		"another method":   func(r *payment.Request) { r.Method = b.Refused },
	} {
		other := r
		change(&other)
		if p, err := b.Provider.Authorise(t.Context(), other); !errors.Is(err, payment.ErrKeyReused) {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	b.is(t, payment.Authorised, first)
	b.pays(t, r.Booking, 1)
}

func refused(t *testing.T, b Backend) {
	r := ask(b.Refused)
	p := b.authorised(t, r)
	b.is(t, payment.Declined, p)
	if p.Reason == "" {
		t.Error("a refusal without a reason")
	}
	if again := b.authorised(t, r); again != p {
		t.Errorf("repeated, the refusal is %+v", again)
	}
	if taken, err := b.capture(t, p); err == nil && taken.Status == payment.Succeeded {
		t.Error("a refused payment was captured")
	}
	b.is(t, payment.Declined, must(t)(b.cancel(t, p))) // it can never succeed; that is all a cancellation promises
}

func senseless(t *testing.T, b Backend) {
	for what, change := range map[string]func(*payment.Request){
		"no key":            func(r *payment.Request) { r.Key = "" },
		"no booking":        func(r *payment.Request) { r.Booking = "" },
		"less than nothing": func(r *payment.Request) { r.Amount = -1 },
		"no currency":       func(r *payment.Request) { r.Currency = "" },
		"a currency's name": func(r *payment.Request) { r.Currency = "euro" },
	} {
		r := ask(b.OK)
		change(&r)
		p, err := b.Provider.Authorise(t.Context(), r)
		if err == nil || errors.Is(err, payment.ErrUnknown) {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
		if r.Booking != "" {
			b.pays(t, r.Booking, 0)
		}
	}
}

// givenUp: whoever gives up waiting does not know what came of the call, must not be
// told that it had no effect if it may have had one, and finds out by the same key.
func givenUp(t *testing.T, b Backend) {
	r := ask(b.OK)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = b.Provider.Authorise(ctx, r)
	b.is(t, payment.Authorised, b.authorised(t, r))
	b.pays(t, r.Booking, 1)
}

// pays counts the payments of a booking.
func (b Backend) pays(t *testing.T, booking string, want int) {
	t.Helper()
	all, err := b.Provider.Find(t.Context(), booking)
	if err != nil || len(all) != want {
		t.Errorf("the booking has payments %+v, %v; there should be %d", all, err, want)
	}
}
