package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment/paymenttest"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment/sandbox"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

var (
	opening = time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	secret  = []byte("of the tests")
)

func TestProvider(t *testing.T) {
	paymenttest.Run(t, func(t *testing.T) paymenttest.Backend {
		t.Helper()
		clk := clock.NewFake(opening)
		return paymenttest.Backend{
			Provider: open(t, sandbox.Options{Clock: clk}), OK: "tok_ok", Refused: "tok_declined", Pending: "tok_pending",
			Decide: func(*testing.T) { clk.Advance(sandbox.DefaultDecide) },
			Webhook: func(t *testing.T, p payment.Payment, at time.Time) ([]byte, string) {
				t.Helper()
				body, err := json.Marshal(map[string]string{"id": "ev_" + uuid.NewString(), "payment": p.ID, "booking": p.Booking, "status": string(p.Status)})
				if err != nil {
					t.Fatal(err)
				}
				return body, sandbox.Sign(secret, body, at)
			},
		}
	})
}

func open(t testing.TB, o sandbox.Options) *sandbox.Provider {
	t.Helper()
	o.Secret = secret
	p, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func ask(method string) payment.Request {
	booking := "b_" + uuid.NewString()
	return payment.Request{Key: "b:" + booking + ":auth:1", Booking: booking, Amount: 4500, Currency: "EUR", Method: method}
}

func TestEveryMethodDoesWhatIsWrittenOfIt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		method      string
		first, then payment.Status // at once, and when pending payments are decided
		reason      string         // in the end
	}{
		{"tok_ok", payment.Authorised, payment.Authorised, ""},
		{"tok_declined", payment.Declined, payment.Declined, "card-declined"},
		{"tok_insufficient", payment.Declined, payment.Declined, "insufficient-funds"},
		{"tok_expired", payment.Declined, payment.Declined, "expired-card"},
		{"tok_pending", payment.Pending, payment.Authorised, ""},
		{"tok_refused_later", payment.Pending, payment.Declined, "card-declined"},
		{"tok_never", payment.Pending, payment.Pending, ""},
		{"tok_no_capture", payment.Authorised, payment.Authorised, ""},
		{"tok_nobody_knows", payment.Declined, payment.Declined, "unknown-method"},
		{"", payment.Declined, payment.Declined, "unknown-method"},
	} {
		clk := clock.NewFake(opening)
		p := open(t, sandbox.Options{Clock: clk, Decide: time.Minute})
		made, err := p.Authorise(t.Context(), ask(tt.method))
		if err != nil || made.Status != tt.first {
			t.Errorf("%s: %+v, %v", tt.method, made, err)
		}
		clk.Advance(time.Minute - 1)
		if still, err := p.Get(t.Context(), made.ID); err != nil || still != made {
			t.Errorf("%s is decided too early: %+v, %v", tt.method, still, err)
		}
		clk.Advance(1)
		if now, err := p.Get(t.Context(), made.ID); err != nil || now.Status != tt.then || now.Reason != tt.reason {
			t.Errorf("%s in the end: %+v, %v", tt.method, now, err)
		}
	}
}

func TestALostAnswerIsFoundByItsKey(t *testing.T) {
	t.Parallel()
	p := open(t, sandbox.Options{Clock: clock.NewFake(opening)})
	r := ask("tok_lost")
	if _, err := p.Authorise(t.Context(), r); !errors.Is(err, payment.ErrUnknown) {
		t.Fatalf("the first answer is %v", err)
	}
	made, err := p.Find(t.Context(), r.Booking)
	if err != nil || len(made) != 1 || made[0].Status != payment.Authorised {
		t.Fatalf("the call had no effect: %+v, %v", made, err)
	}
	if again, err := p.Authorise(t.Context(), r); err != nil || again != made[0] {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestASlowPaymentKeepsItsKeyToItself(t *testing.T) {
	t.Parallel()
	clk := clock.NewFake(opening)
	p := open(t, sandbox.Options{Clock: clk, Slow: time.Minute})
	r := ask("tok_slow")
	ctx, giveUp := context.WithCancel(t.Context())
	answers := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := p.Authorise(ctx, r)
			answers <- err
		}()
	}
	select {
	case err := <-answers: // the other one takes its minute
		if !errors.Is(err, payment.ErrKeyInUse) {
			t.Fatalf("the second call says %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("two calls with one key are under way")
	}
	giveUp()
	if err := <-answers; !errors.Is(err, payment.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

func TestACaptureThatIsRefusedStaysRefused(t *testing.T) {
	t.Parallel()
	p := open(t, sandbox.Options{Clock: clock.NewFake(opening)})
	made, err := p.Authorise(t.Context(), ask("tok_no_capture"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if taken, err := p.Capture(t.Context(), made.ID, "capture"); err != nil || taken.Status != payment.Cancelled || taken.Reason == "" {
			t.Errorf("captured: %+v, %v", taken, err)
		}
	}
}

func FuzzParseWebhook(f *testing.F) {
	p := open(f, sandbox.Options{Clock: clock.NewFake(opening)})
	for _, body := range []string{`{"id":"ev_1","payment":"sb_1","booking":"b_1","status":"authorised"}`, `{}`, `[]`, `null`, ``, `{"id":1}`} {
		f.Add([]byte(body), sandbox.Sign(secret, []byte(body), opening), true)
		f.Add([]byte(body), "t=1,v1=00", false)
	}
	f.Fuzz(func(t *testing.T, body []byte, signature string, sign bool) {
		if sign { // else nothing behind the signature is ever reached
			signature = sandbox.Sign(secret, body, opening)
		}
		event, err := p.ParseWebhook(body, signature, opening)
		switch {
		case err != nil && !errors.Is(err, payment.ErrSignature):
			t.Errorf("another error: %v", err)
		case err == nil && (event.ID == "" || event.Payment == "" || event.Booking == ""):
			t.Errorf("half an event: %+v", event)
		case err == nil && !sign && !signedNear(body, signature):
			t.Errorf("taken with a signature of nobody: %q", signature)
		}
	})
}

// signedNear says whether a signature is one of ours within the tolerance.
func signedNear(body []byte, signature string) bool {
	for second := -300; second <= 300; second++ {
		if signature == sandbox.Sign(secret, body, opening.Add(time.Duration(second)*time.Second)) {
			return true
		}
	}
	return false
}
