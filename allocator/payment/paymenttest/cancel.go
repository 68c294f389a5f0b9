package paymenttest

import (
	"errors"
	"sync"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
)

func cancelled(t *testing.T, b Backend) {
	r := ask(b.OK)
	p := b.authorised(t, r)
	for range 2 {
		b.is(t, payment.Cancelled, must(t)(b.cancel(t, p)))
	}
	if taken, err := b.capture(t, p); err == nil && taken.Status == payment.Succeeded {
		t.Error("a cancelled payment was captured")
	}
	if again := b.authorised(t, r); again.ID != p.ID || again.Status != payment.Cancelled {
		t.Errorf("its key brought it back: %+v", again)
	}
}

func tooLate(t *testing.T, b Backend) {
	p := must(t)(b.capture(t, b.authorised(t, ask(b.OK))))
	if _, err := b.cancel(t, p); !errors.Is(err, payment.ErrTooLate) {
		t.Errorf("cancelling says %v", err)
	}
	b.is(t, payment.Succeeded, p)
}

func captureOrCancel(t *testing.T, b Backend) {
	for range 20 {
		p := b.authorised(t, ask(b.OK))
		var (
			calls   sync.WaitGroup
			took    payment.Payment
			gone    payment.Payment
			tookErr error
			goneErr error
		)
		calls.Go(func() { took, tookErr = b.capture(t, p) })
		calls.Go(func() { gone, goneErr = b.cancel(t, p) })
		calls.Wait()
		paid := tookErr == nil && took.Status == payment.Succeeded
		ended := goneErr == nil && gone.Status == payment.Cancelled
		if paid == ended {
			t.Fatalf("captured: %+v, %v; cancelled: %+v, %v", took, tookErr, gone, goneErr)
		}
		want := payment.Succeeded
		if ended {
			want = payment.Cancelled
		}
		if now := must(t)(b.Provider.Get(t.Context(), p.ID)); now.Status != want {
			t.Fatalf("one was told %s, and it is %s", want, now.Status)
		}
	}
}

func pending(t *testing.T, b Backend) {
	r := ask(b.Pending)
	p := b.authorised(t, r)
	b.is(t, payment.Pending, p)
	if taken, err := b.capture(t, p); err == nil && taken.Status == payment.Succeeded {
		t.Error("a pending payment was captured")
	}
	b.Decide(t)
	now := must(t)(b.Provider.Get(t.Context(), p.ID))
	b.is(t, payment.Authorised, now)
	if again := b.authorised(t, r); again != now {
		t.Errorf("its key says %+v", again)
	}
	b.is(t, payment.Succeeded, must(t)(b.capture(t, now)))
}

func pendingCancelled(t *testing.T, b Backend) {
	p := b.authorised(t, ask(b.Pending))
	b.is(t, payment.Cancelled, must(t)(b.cancel(t, p)))
	b.Decide(t)
	if now := must(t)(b.Provider.Get(t.Context(), p.ID)); now.Status != payment.Cancelled {
		t.Errorf("it was decided after its cancellation: %+v", now)
	}
}

func found(t *testing.T, b Backend) {
	r := ask(b.Refused)
	first := b.authorised(t, r)
	r.Key, r.Method = "b:"+r.Booking+":auth:2", b.OK
	second := b.authorised(t, r)
	other := b.authorised(t, ask(b.OK))
	all, err := b.Provider.Find(t.Context(), r.Booking)
	if err != nil || len(all) != 2 {
		t.Fatalf("found %+v, %v", all, err)
	}
	for _, p := range all {
		if p != first && p != second || p == other {
			t.Errorf("found %+v", p)
		}
	}
}

func notFound(t *testing.T, b Backend) {
	if all, err := b.Provider.Find(t.Context(), "b_nothing"); err != nil || len(all) != 0 {
		t.Errorf("found %+v, %v", all, err)
	}
	nobody := payment.Payment{ID: "nothing", Booking: "b_nothing"}
	_, get := b.Provider.Get(t.Context(), nobody.ID)
	_, capture := b.capture(t, nobody)
	_, cancel := b.cancel(t, nobody)
	for what, err := range map[string]error{"get": get, "capture": capture, "cancel": cancel} {
		if !errors.Is(err, payment.ErrNotFound) {
			t.Errorf("%s says %v", what, err)
		}
	}
}
