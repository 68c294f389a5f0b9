// Package paymenttest is the suite that every payment provider passes. It knows
// nothing of the sandbox: what only one provider has (its journal, its ways to lose
// an answer) is tested beside that provider.
package paymenttest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
)

// Backend is one provider under test, with nothing in it.
type Backend struct {
	Provider payment.Provider
	// The means of payment that are authorised at once, refused at once, and left
	// pending until Decide.
	OK, Refused, Pending string
	// Decide has the payments that are pending decided; they are authorised then.
	Decide func(t *testing.T)
	// Webhook is what the provider would send about a payment, signed at a time.
	Webhook func(t *testing.T, p payment.Payment, at time.Time) (body []byte, signature string)
}

// Run runs the suite. open is called once for each test.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for _, tt := range []struct {
		promise string
		test    func(t *testing.T, b Backend)
	}{
		{"an authorisation reserves and a capture takes", captured},
		{"a key is one payment however often it is used", repeatedKey},
		{"of many calls with one key one pays", oneKeyAtOnce},
		{"a key fits one request", reusedKey},
		{"a refusal is an answer and stays one", refused},
		{"a request that makes no sense has no effect", senseless},
		{"a call that was given up is found by its key", givenUp},
		{"a cancelled payment can never succeed", cancelled},
		{"a captured payment cannot be cancelled", tooLate},
		{"of a capture and a cancellation at once one wins", captureOrCancel},
		{"a pending payment decides itself", pending},
		{"a pending payment can be cancelled", pendingCancelled},
		{"all payments of a booking are found and no others", found},
		{"what is not there is not found", notFound},
		{"a webhook names its payment", webhook},
		{"a forged webhook is refused", forged},
		{"a webhook is refused when it is older than five minutes", stale},
	} {
		t.Run(tt.promise, func(t *testing.T) {
			t.Parallel()
			tt.test(t, open(t))
		})
	}
}

// ask is a request for a booking of its own.
func ask(method string) payment.Request {
	booking := "b_" + uuid.NewString()
	return payment.Request{Key: "b:" + booking + ":auth:1", Booking: booking, Amount: 9050, Currency: "EUR", Method: method}
}

// authorised is the payment of a request that nothing stands in the way of.
func (b Backend) authorised(t *testing.T, r payment.Request) payment.Payment {
	t.Helper()
	p, err := b.Provider.Authorise(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// is fails unless a payment is in a state, both in the answer and when it is read.
func (b Backend) is(t *testing.T, want payment.Status, p payment.Payment) {
	t.Helper()
	read, err := b.Provider.Get(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if p.Status != want || read != p {
		t.Errorf("the answer is %+v, the payment %+v, and it should be %s", p, read, want)
	}
}

// capture captures, whatever comes of it.
func (b Backend) capture(t *testing.T, p payment.Payment) (payment.Payment, error) {
	t.Helper()
	return b.Provider.Capture(t.Context(), p.ID, "b:"+p.Booking+":capture")
}

func (b Backend) cancel(t *testing.T, p payment.Payment) (payment.Payment, error) {
	t.Helper()
	return b.Provider.Cancel(t.Context(), p.ID, "b:"+p.Booking+":cancel")
}

// must is for calls that the test is not about.
func must(t *testing.T) func(payment.Payment, error) payment.Payment {
	return func(p payment.Payment, err error) payment.Payment {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}
