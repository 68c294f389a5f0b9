package sale_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// hooked is a provider whose calls a test can stop in the middle.
type hooked struct {
	payment.Provider
	authorised func(payment.Payment) // after the effect, before the answer
	cancelled  func()
	cancels    atomic.Int64
}

func (p *hooked) Authorise(ctx context.Context, r payment.Request) (payment.Payment, error) {
	made, err := p.Provider.Authorise(ctx, r)
	if p.authorised != nil {
		p.authorised(made)
	}
	return made, err
}

func (p *hooked) Cancel(ctx context.Context, id, key string) (payment.Payment, error) {
	p.cancels.Add(1)
	made, err := p.Provider.Cancel(ctx, id, key)
	if p.cancelled != nil {
		p.cancelled()
	}
	return made, err
}

// through has a hall pay through hooks.
func (h *hall) through(p *hooked) *hooked {
	p.Provider = h.provider
	h.deps.Provider = p
	h.Sale = sale.New(h.deps)
	return p
}

// outcome is what a checkout came to.
type outcome struct {
	b   *allocator.Booking
	err error
}

// checkoutAside is a checkout whose answer from the provider has come and is not
// handed on until release is closed.
func (h *hall) checkoutAside(held sale.Held, key string) (release chan struct{}, done chan outcome) {
	h.t.Helper()
	var first atomic.Bool
	release, done = make(chan struct{}), make(chan outcome, 1)
	answered := make(chan struct{})
	h.through(&hooked{authorised: func(payment.Payment) {
		if first.CompareAndSwap(false, true) {
			close(answered)
			<-release
		}
	}})
	go func() {
		b, err := h.Checkout(context.WithoutCancel(h.t.Context()), held.ID, held.Holder, key, pays("tok_ok"))
		done <- outcome{b, err}
	}()
	<-answered
	return release, done
}

// The worst of moments: the fan's payment is authorised, its time ends, and recovery
// cancels it between the provider's answer and the booking by it.
func TestNobodyBooksOnAPaymentThatIsBeingCancelledI2(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	release, done := h.checkoutAside(held, "pay")
	var fan *outcome
	recovery := h.deps
	recovery.Provider = &hooked{Provider: h.provider, cancelled: func() {
		if fan == nil {
			close(release)
			o := <-done
			fan = &o
		}
	}}
	h.clock.Advance(h.PayTTL + time.Second) // its call may take until 15 s after its deadline
	if _, err := sale.New(recovery).Recover(t.Context()); err != nil {
		t.Error(err)
	}
	if fan == nil {
		close(release)
		o := <-done
		fan = &o
	}
	if fan.err != nil || fan.b.State != allocator.BookedState {
		t.Fatalf("the fan, whose payment was authorised in time, got %+v, %v", fan.b, fan.err)
	}
	h.settle()
	if state := h.state(fan.b.ID); state != allocator.Captured {
		t.Errorf("the seat is sold, and its money %s", state)
	}
	h.check()
}

func TestNothingIsBegunAfterTheDeadlineAndNothingGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	b := h.checkout(held, "pay", "tok_never", allocator.Authorising)
	unasked := h.hold("bob", "k", want(1))
	at := "claimed"
	h.dieAt.Store(&at)
	if _, err := h.Checkout(t.Context(), unasked.ID, "bob", "pay", pays("tok_ok")); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	calls := h.provider.calls.Load()
	p := h.through(&hooked{})
	h.clock.Advance(h.PayTTL + time.Second)
	if _, err := h.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, again := range []sale.Held{held, unasked} {
		method := map[string]string{"ann": "tok_never", "bob": "tok_ok"}[again.Holder]
		if now, err := h.Checkout(t.Context(), again.ID, again.Holder, "pay", pays(method)); err != nil ||
			now.State != allocator.Authorising && now.State != allocator.Claimed {
			t.Errorf("%s tries again after the deadline: %+v, %v", again.Holder, now, err)
		}
	}
	if h.provider.calls.Load() != calls || p.cancels.Load() != 0 {
		t.Errorf("after the deadline %d authorisations and %d cancellations", h.provider.calls.Load()-calls, p.cancels.Load())
	}
	h.clock.Advance(30 * time.Second)
	if _, err := h.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{b.ID, sale.BookingID(unasked.ID, "bob", "pay")} {
		if state := h.state(id); state != allocator.Expired {
			t.Errorf("after the grace %s is %s", id, state)
		}
	}
	if p.cancels.Load() != 1 {
		t.Errorf("%d cancellations, and one payment was open", p.cancels.Load())
	}
	h.settle()
	h.check()
	h.hold("cid", "k", want(0, 1))
}

// Whatever made somebody give up, what the provider reserved goes back.
func TestAPaymentThatSomebodyGaveUpOnIsLetGoI2(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	release, done := h.checkoutAside(held, "pay")
	h.sql(`UPDATE booking SET state = 'expired'; UPDATE claim SET status = 'RELEASED'`)
	close(release)
	if o := <-done; o.err != nil || o.b.State != allocator.Expired {
		t.Errorf("the fan got %+v, %v", o.b, o.err)
	}
	for _, p := range h.provider.Payments() {
		if p.Status != payment.Cancelled {
			t.Errorf("left behind: %+v", p)
		}
	}
}

func TestMoneyTakenForNothingIsReportedAndNotAskedAboutForEver(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	held := h.hold("ann", "k", want(0))
	b := h.checkout(held, "pay", "tok_declined", allocator.Declined)
	taken, err := h.provider.Provider.Authorise(t.Context(), payment.Request{Key: "by hand", Booking: b.ID, Amount: price, Currency: "EUR", Method: "tok_ok"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.provider.Provider.Capture(t.Context(), taken.ID, "by hand"); err != nil {
		t.Fatal(err)
	}
	b.PaymentID = taken.ID
	body, signature := h.webhook("ev_1", b)
	if err := h.Webhook(t.Context(), body, signature); err != nil {
		t.Errorf("the webhook would come for days: %v", err)
	}
	if n := h.counter("tickets_allocator_attention_total"); n != 1 {
		t.Errorf("the operator is told of %v such payments", n)
	}
}

// counter reads a metric of the sale that has no labels.
func (h *hall) counter(name string) float64 {
	h.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(h.Sale)
	all, err := registry.Gather()
	if err != nil {
		h.t.Fatal(err)
	}
	for _, family := range all {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	h.t.Fatalf("there is no metric %s", name)
	return 0
}

func TestAPaymentThatHangsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	const bookings = 3
	for i := range bookings {
		held := h.hold("ann", seat(i), want(i))
		fail(&h.provider.authorise, payment.ErrUnknown)
		h.checkout(held, "pay", "tok_ok", allocator.Authorising)
	}
	var answered atomic.Int64
	others := make(chan struct{})
	h.through(&hooked{authorised: func(payment.Payment) {
		switch answered.Add(1) {
		case 1: // hangs until all others are through
			select {
			case <-others:
			case <-time.After(20 * time.Second):
				t.Error("the others wait for one that hangs")
			}
		case bookings:
			close(others)
		}
	}})
	h.clock.Advance(time.Minute)
	if n, err := h.Recover(t.Context()); err != nil || n != bookings {
		t.Errorf("recovered %d, %v", n, err)
	}
	h.settle()
	h.check()
}

func TestTheMapWaitsTwoSecondsForRedisHoweverLongItWasAway(t *testing.T) {
	t.Parallel()
	h := open(t, devstack.Postgres(t))
	h.checkout(h.hold("ann", "k", want(0)), "pay", "tok_ok", allocator.BookedState)
	h.redis.Kill()
	for range 6 {
		h.sql(`UPDATE outbox SET due_at = now()`)
		if _, err := h.WorkOutbox(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if late := h.sql(`SELECT kind FROM outbox WHERE due_at > now() + interval '2 seconds'`); late != "" {
		t.Errorf("long after Redis is back it is still to wait for %s", late)
	}
	if waits := h.sql(`SELECT count(*) FROM outbox WHERE kind = 'mark'`); waits != "1" {
		t.Errorf("%s orders to show the seat as sold", waits)
	}
	h.redis.Start()
	h.settle()
	h.check()
}
