package sale_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func TestASaleIsBookedThenCapturedAndShown(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	b := h.checkout(h.hold("ann", "k", want(0, 1)), "pay", "tok_ok", allocator.BookedState)
	if b.Amount.Amount != 2*price || b.PaymentID == "" || b.Attempt != 1 {
		t.Errorf("got %+v", b)
	}
	h.settle()
	if got := h.state(b.ID); got != allocator.Captured {
		t.Errorf("after the outbox it is %s, want captured", got)
	}
	var conflict *allocator.ConflictError
	if _, err := h.Hold(t.Context(), h.Slug, "bob", "k", want(1, 2)); !errors.As(err, &conflict) || !slices.Equal(conflict.Cells, []string{seat(1)}) {
		t.Errorf("a sold seat was wanted: %v, want a conflict about it", err)
	}
	h.check()
}

func TestOneKeyOnePaymentHoweverOftenAndAtOnceI8(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	done, failed := crowd(20, func(int) (*allocator.Booking, error) {
		return h.Checkout(t.Context(), held.ID, "ann", "pay", pays("tok_ok"))
	})
	if len(failed) > 0 {
		t.Fatalf("%d of 20 failed: %v", len(failed), failed[0])
	}
	for _, b := range done {
		if b.ID != done[0].ID {
			t.Errorf("bookings %s and %s of one key", b.ID, done[0].ID)
		}
	}
	h.checkout(held, "pay", "tok_ok", allocator.BookedState)
	if n := len(h.provider.Payments()); n != 1 {
		t.Errorf("%d payments, want 1", n)
	}
	for _, other := range []sale.Payment{pays("tok_declined"), {Method: "tok_ok", Buyer: allocator.Buyer{Name: "Eve", Email: "eve@example.org"}}} {
		if _, err := h.Checkout(t.Context(), held.ID, "ann", "pay", other); !errors.Is(err, allocator.ErrKeyMismatch) {
			t.Errorf("the key for another payment: %v, want ErrKeyMismatch", err)
		}
	}
	h.settle()
	h.check()
}

func TestAnotherKeyCannotPayWhileAPaymentIsUnderWay(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	b := h.checkout(held, "one", "tok_pending", allocator.Authorising)
	if _, err := h.Checkout(t.Context(), held.ID, "ann", "two", pays("tok_ok")); !errors.Is(err, sale.ErrPaymentUnderWay) {
		t.Fatalf("got %v, want ErrPaymentUnderWay", err)
	}
	if n := h.provider.calls.Load(); n != 1 {
		t.Errorf("%d calls to the provider, want 1", n)
	}
	h.settle()
	if got := h.state(b.ID); got != allocator.Captured {
		t.Errorf("the first payment ended %s", got)
	}
	h.check()
}

func TestAnotherKeyThatCameInBetweenDoesNotKeepARefusedHoldPaying(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	h.checkout(held, "one", "tok_refused_later", allocator.Authorising)
	h.clock.Advance(31 * time.Second)
	if _, err := h.Checkout(t.Context(), held.ID, "ann", "two", pays("tok_ok")); !errors.Is(err, sale.ErrPaymentUnderWay) {
		t.Fatalf("got %v, want ErrPaymentUnderWay", err)
	}
	if _, err := h.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if back, err := h.GetHold(t.Context(), held.ID, "ann"); err != nil || back.Paying {
		t.Errorf("nobody pays, and the hold is %+v, %v", back, err)
	}
	h.settle()
	h.check()
}

func TestOfManyKeysAtOnceOnePays(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0, 1))
	done, failed := crowd(20, func(i int) (*allocator.Booking, error) {
		return h.Checkout(t.Context(), held.ID, "ann", fmt.Sprint("key", i), pays("tok_ok"))
	})
	if len(done) != 1 || h.provider.calls.Load() != 1 {
		t.Errorf("%d paid with %d calls to the provider, want one", len(done), h.provider.calls.Load())
	}
	for _, err := range failed { // before the one had paid, or after
		var booked *sale.BookedError
		if errors.As(err, &booked) && len(done) == 1 && booked.Booking == done[0].ID {
			continue
		}
		if !errors.Is(err, sale.ErrPaymentUnderWay) {
			t.Errorf("refused with %v, want ErrPaymentUnderWay, or the booking", err)
		}
	}
	h.settle()
	h.check()
}

func TestAfterARefusalAnotherMeansPaysAndTheLateTaskEndsNothing(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	for method, reason := range map[string]string{"tok_declined": "card-declined", "tok_insufficient": "insufficient-funds", "tok_expired": "expired-card"} {
		if b := h.checkout(held, method, method, allocator.Declined); b.Reason != reason {
			t.Errorf("%s: declined for %q, want %q", method, b.Reason, reason)
		}
		if back, err := h.GetHold(t.Context(), held.ID, "ann"); err != nil || back.Paying {
			t.Fatalf("after a refusal the hold is %+v, %v; want it to go on", back, err)
		}
		h.clock.Advance(time.Second)
	}
	h.checkout(held, "pending", "tok_pending", allocator.Authorising)
	if _, err := h.WorkOutbox(t.Context()); err != nil { // the refusals' own tasks come late
		t.Fatal(err)
	}
	if now, err := h.GetHold(t.Context(), held.ID, "ann"); err != nil || !now.Paying {
		t.Errorf("the task of a payment that is over ended another: %+v, %v", now, err)
	}
	h.settle()
	if sold := h.sold(); !slices.Equal(sold, []string{seat(0)}) {
		t.Errorf("sold %v", sold)
	}
	h.check()
}

func TestARefusedKeyRepeatedStaysRefusedAndTheHoldGoesOn(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	done, failed := crowd(10, func(int) (*allocator.Booking, error) {
		return h.Checkout(t.Context(), held.ID, "ann", "pay", pays("tok_declined"))
	})
	if len(failed) > 0 {
		t.Fatal(failed[0])
	}
	_ = done
	h.checkout(held, "pay", "tok_declined", allocator.Declined)
	if back, err := h.GetHold(t.Context(), held.ID, "ann"); err != nil || back.Paying {
		t.Errorf("the hold is %+v, %v; want it to go on", back, err)
	}
	if n := len(h.provider.Payments()); n != 1 {
		t.Errorf("%d payments, want 1", n)
	}
	h.settle()
	h.check()
}

func TestALostAnswerIsBookedOnceAndCapturedOnceI2(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	b := h.checkout(held, "pay", "tok_lost", allocator.Authorising)
	if b.PaymentID != "" {
		t.Error("the answer was not lost")
	}
	h.clock.Advance(31 * time.Second)
	if n, err := h.Recover(t.Context()); n != 1 || err != nil {
		t.Fatalf("recovered %d: %v", n, err)
	}
	if got := h.state(b.ID); got != allocator.BookedState {
		t.Errorf("after recovery it is %s, want booked", got)
	}
	h.settle()
	if n := len(h.provider.Payments()); n != 1 {
		t.Errorf("%d payments, want 1", n)
	}
	h.check()
}

func TestAFailedCallOfTheProviderGivesNothingBack(t *testing.T) {
	t.Parallel()
	down := errors.New("dial tcp: connection refused")
	for name, fault := range map[string]func(h *hall) *allocator.Booking{
		"reading the payment": func(h *hall) *allocator.Booking {
			b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_pending", allocator.Authorising)
			fail(&h.provider.get, down)
			return b
		},
		"cancelling it": func(h *hall) *allocator.Booking {
			b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_pending", allocator.Authorising)
			h.clock.Advance(h.PayTTL)
			fail(&h.provider.cancel, down)
			return b
		},
		"repeating a call whose answer was lost": func(h *hall) *allocator.Booking {
			b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_lost", allocator.Authorising)
			fail(&h.provider.authorise, down)
			return b
		},
		"an unknown payment": func(h *hall) *allocator.Booking {
			b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_pending", allocator.Authorising)
			fail(&h.provider.get, payment.ErrNotFound)
			return b
		},
		"a key that was used otherwise": func(h *hall) *allocator.Booking {
			b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_lost", allocator.Authorising)
			fail(&h.provider.authorise, payment.ErrKeyReused)
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t, devstack.Postgres(t))
			b := fault(h)
			h.clock.Advance(31 * time.Second)
			_, _ = h.Recover(t.Context())
			if got := h.state(b.ID); got != allocator.Authorising && got != allocator.BookedState {
				t.Errorf("it ended %s although nobody said that the payment cannot succeed", got)
			}
			if h.sql(`SELECT count(*) FROM claim WHERE status = 'RELEASED'`) != "0" {
				t.Error("the seat was given back")
			}
			h.settle()
			h.check()
		})
	}
}

func TestARequestThatTheProviderRefusesAtOnceIsDeclined(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	fail(&h.provider.authorise, errors.New("400: no such method"))
	if b := h.checkout(held, "pay", "tok_ok", allocator.Declined); b.Reason != "provider-error" {
		t.Errorf("declined for %q", b.Reason)
	}
	h.checkout(held, "again", "tok_ok", allocator.BookedState)
	h.settle()
	h.check()
}

func TestBookingsThatNobodyCanDecideDoNotStandInTheWayOfOthers(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_pending", allocator.Authorising)
	h.clock.Advance(31 * time.Second)
	fail(&h.provider.get, payment.ErrNotFound)
	if n, err := h.Recover(t.Context()); n != 1 || err == nil {
		t.Fatalf("looked at %d: %v; want the fault to be told", n, err)
	}
	if n, err := h.Recover(t.Context()); n != 0 || err != nil {
		t.Errorf("looked at %d again at once: %v", n, err)
	}
	if got := h.state(b.ID); got != allocator.Authorising {
		t.Errorf("it is %s", got)
	}
	h.settle()
	h.check()
}

func TestADeadlineCancelsThePaymentAndFreesTheSeatI6(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_never", allocator.Authorising)
	h.clock.Advance(h.PayTTL - time.Second)
	_, _ = h.Recover(t.Context())
	if got := h.state(b.ID); got != allocator.Authorising {
		t.Fatalf("before its deadline it is %s", got)
	}
	h.settle()
	if got := h.state(b.ID); got != allocator.Expired {
		t.Errorf("it is %s, want expired", got)
	}
	if p, _ := h.provider.Provider.Get(t.Context(), b.PaymentID); p.Status != payment.Cancelled {
		t.Errorf("its payment is %s, want cancelled before the seat is free", p.Status)
	}
	h.check()
	h.checkout(h.hold("bob", "k", want(0)), "pay", "tok_ok", allocator.BookedState)
	h.settle()
	h.check()
}

func TestACancellationThatComesTooLateBooksI2(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_pending", allocator.Authorising)
	h.clock.Advance(h.PayTTL + time.Minute)
	if _, err := h.provider.Provider.Capture(t.Context(), b.PaymentID, "by hand"); err != nil {
		t.Fatal(err)
	}
	h.settle()
	if got := h.state(b.ID); got != allocator.Captured {
		t.Errorf("the money was taken and the booking is %s", got)
	}
	h.check()
}

func TestAClaimThatConflictsAsksForNoMoneyAndCorrectsTheLocksI1(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_ok", allocator.BookedState)
	h.settle()
	calls := h.provider.calls.Load()
	// The locks forget that the seat is sold, as a failover may make them.
	prefix := "tickets:{e:" + h.Slug + "}:"
	h.redis.Client().HDel(t.Context(), prefix+"own", seat(0))
	h.redis.Client().Del(t.Context(), prefix+"c:"+seat(0))
	h.redis.Client().HIncrBy(t.Context(), prefix+"meta", "free:0", 1)
	h.redis.Client().HIncrBy(t.Context(), prefix+"meta", "booked:0", -1)

	held := h.hold("bob", "k", want(0, 1))
	var conflict *allocator.ConflictError
	if _, err := h.Checkout(t.Context(), held.ID, "bob", "pay", pays("tok_ok")); !errors.As(err, &conflict) || !slices.Equal(conflict.Cells, []string{seat(0)}) {
		t.Fatalf("got %v, want a conflict about the sold seat", err)
	}
	if h.provider.calls.Load() != calls {
		t.Error("the provider was asked for money that could buy nothing")
	}
	h.check() // the locks are right again
	if left, err := h.GetHold(t.Context(), held.ID, "bob"); err != nil || left.Paying || !slices.Equal(left.Cells, []string{seat(1)}) {
		t.Errorf("what is left of the hold is %+v, %v", left, err)
	}
}

func TestACaptureThatIsRefusedNeedsAPersonAndKeepsTheSeat(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_no_capture", allocator.BookedState)
	h.settle()
	got, err := h.Find(t.Context(), b.ID)
	if err != nil || got.State != allocator.Attention || got.Reason != "capture-refused" {
		t.Errorf("got %+v, %v; want attention", got, err)
	}
	if sold := h.sold(); !slices.Equal(sold, []string{seat(0)}) {
		t.Errorf("sold %v, want the seat to stay sold", sold)
	}
	h.checkLocks()
	h.checkClaims()
}

func TestACaptureThatFailsIsTriedAgainI2(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	b := h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_ok", allocator.BookedState)
	for range 5 {
		fail(&h.provider.capture, payment.ErrUnknown)
		h.sql(`UPDATE outbox SET due_at = now()`)
		if _, err := h.WorkOutbox(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.state(b.ID); got != allocator.BookedState {
		t.Fatalf("it is %s, want booked until the money is there", got)
	}
	h.settle()
	h.check()
}

func TestACheckoutAfterTheHoldIsOverIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	if err := h.Release(t.Context(), held.ID, "ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Checkout(t.Context(), held.ID, "ann", "pay", pays("tok_ok")); !errors.Is(err, allocator.ErrHoldExpired) {
		t.Errorf("got %v, want ErrHoldExpired", err)
	}
	if n := h.provider.calls.Load(); n != 0 {
		t.Errorf("%d calls to the provider", n)
	}
	h.check()
}

func TestTheProviderKeyNamesBookingAndAttempt(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	keys := &recording{Provider: h.provider}
	deps := h.deps
	deps.Provider = keys
	s := sale.New(deps)
	held := h.hold("ann", "k", want(0))
	b, err := s.Checkout(t.Context(), held.ID, "ann", "pay", pays("tok_lost"))
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(31 * time.Second)
	if _, err := s.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	one := "b:" + b.ID + ":auth:1"
	if got := strings.Join(keys.keys, " "); got != one+" "+one {
		t.Errorf("the calls had keys %q, want %q twice", got, one)
	}
}

type recording struct {
	payment.Provider
	keys []string
}

func (r *recording) Authorise(ctx context.Context, ask payment.Request) (payment.Payment, error) {
	r.keys = append(r.keys, ask.Key)
	return r.Provider.Authorise(ctx, ask)
}
