package sale_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment/sandbox"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// webhook is what a provider would send about a payment.
func (h *hall) webhook(id string, b *allocator.Booking) (body []byte, signature string) {
	h.t.Helper()
	body, err := json.Marshal(map[string]string{"id": id, "payment": b.PaymentID, "booking": b.ID, "status": "whatever"})
	if err != nil {
		h.t.Fatal(err)
	}
	return body, sandbox.Sign(secret, body, h.clock.Now())
}

func TestTenWebhooksAtOnceHaveOneEffect(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_pending", allocator.Authorising)
	h.clock.Advance(10 * time.Second)
	body, signature := h.webhook("ev_1", b)
	if _, failed := crowd(10, func(int) (any, error) { return nil, h.Webhook(t.Context(), body, signature) }); len(failed) > 0 {
		t.Fatalf("%d failed: %v", len(failed), failed[0])
	}
	if got := h.state(b.ID); got != allocator.BookedState {
		t.Errorf("it is %s, want booked", got)
	}
	if n := h.sql(`SELECT count(*) FROM outbox`); n != "2" {
		t.Errorf("%s tasks, want one to show it and one to take the money", n)
	}
	h.settle()
	h.check()
}

func TestAWebhookIsAHintAndThePaymentIsReadAgain(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_pending", allocator.Authorising)
	body, signature := h.webhook("ev_1", b) // nothing has happened yet, whatever it says
	if err := h.Webhook(t.Context(), body, signature); err != nil {
		t.Fatal(err)
	}
	if got := h.state(b.ID); got != allocator.Authorising {
		t.Errorf("a webhook alone made it %s", got)
	}
	h.settle()
	for i := range 3 { // late ones, after everything
		body, signature := h.webhook(fmt.Sprint("ev_late", i), b)
		if err := h.Webhook(t.Context(), body, signature); err != nil {
			t.Error(err)
		}
	}
	if got := h.state(b.ID); got != allocator.Captured {
		t.Errorf("it is %s, want captured", got)
	}
	h.settle()
	h.check()
}

func TestAWebhookBeforeItsBookingIsToComeAgain(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	body, signature := h.webhook("ev_1", &allocator.Booking{ID: "b_11111111-1111-4111-8111-111111111111", PaymentID: "sb_1"})
	if err := h.Webhook(t.Context(), body, signature); !errors.Is(err, sale.ErrWebhookEarly) {
		t.Errorf("got %v, want ErrWebhookEarly", err)
	}
}

func TestForgedWebhooksTouchNothing(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_pending", allocator.Authorising)
	other := h.checkout(h.hold("bob", "k", want(1)), "pay", "tok_ok", allocator.BookedState)
	h.clock.Advance(10 * time.Second)
	body, signature := h.webhook("ev_1", b)
	for name, forged := range map[string]string{
		"none": "", "another secret": sandbox.Sign([]byte("guessed"), body, h.clock.Now()),
		"stale": sandbox.Sign(secret, body, h.clock.Now().Add(-301*time.Second)), "cut": signature[:len(signature)-1],
	} {
		if err := h.Webhook(t.Context(), body, forged); !errors.Is(err, payment.ErrSignature) {
			t.Errorf("%s: %v, want ErrSignature", name, err)
		}
	}
	// Well signed, and about somebody else's payment.
	swapped := *b
	swapped.PaymentID = other.PaymentID
	body, signature = h.webhook("ev_2", &swapped)
	if err := h.Webhook(t.Context(), body, signature); err == nil {
		t.Error("a payment of another booking was taken for this one's")
	}
	if got := h.state(b.ID); got != allocator.Authorising {
		t.Errorf("it is %s, want nothing to have happened", got)
	}
	h.settle()
	h.check()
}

func TestAPaymentThatComesAfterItsBookingHadEndedIsCancelledI2(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	fail(&h.provider.authorise, errors.New("400: bad request"))
	b := h.checkout(held, "pay", "tok_ok", allocator.Declined)
	late, err := h.provider.Provider.Authorise(t.Context(), payment.Request{
		Key: "b:" + b.ID + ":auth:1", Booking: b.ID, Amount: price, Currency: "EUR", Method: "tok_ok",
	})
	if err != nil {
		t.Fatal(err)
	}
	b.PaymentID = late.ID
	body, signature := h.webhook("ev_1", b)
	if err := h.Webhook(t.Context(), body, signature); err != nil {
		t.Fatal(err)
	}
	if p, _ := h.provider.Provider.Get(t.Context(), late.ID); p.Status != payment.Cancelled {
		t.Errorf("the money stays %s for a booking that has ended", p.Status)
	}
	h.settle()
	h.check()
}
