package sandbox_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment/sandbox"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// letter is a webhook as it arrived.
type letter struct {
	payment.Event
	at time.Time
}

// box is where the webhooks of a test arrive. The clock is the machine's: they are
// sent by goroutines of their own.
func box(t *testing.T, o sandbox.Options) (*sandbox.Provider, <-chan letter) {
	t.Helper()
	letters := make(chan letter, 100)
	o.Clock = clock.System()
	var self atomic.Pointer[sandbox.Provider]
	refuse := o.Deliver
	o.Deliver = func(ctx context.Context, body []byte, signature string) error {
		if refuse != nil {
			if err := refuse(ctx, body, signature); err != nil {
				return err
			}
		}
		event, err := self.Load().ParseWebhook(body, signature, time.Now())
		if err != nil {
			t.Errorf("a webhook that does not verify: %s, %q: %v", body, signature, err)
		}
		letters <- letter{event, time.Now()}
		return nil
	}
	p := open(t, o)
	self.Store(p)
	return p, letters
}

// read waits for n webhooks.
func read(t *testing.T, letters <-chan letter, n int) []letter {
	t.Helper()
	all := make([]letter, 0, n)
	for len(all) < n {
		select {
		case l := <-letters:
			all = append(all, l)
		case <-time.After(20 * time.Second):
			t.Fatalf("only %d webhooks of %d: %+v", len(all), n, all)
		}
	}
	return all
}

func TestEveryChangeIsTold(t *testing.T) {
	t.Parallel()
	p, letters := box(t, sandbox.Options{})
	made, err := p.Authorise(t.Context(), ask("tok_ok"))
	if err != nil {
		t.Fatal(err)
	}
	first := read(t, letters, 1)[0]
	if _, err := p.Capture(t.Context(), made.ID, "k"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Capture(t.Context(), made.ID, "k"); err != nil { // changes nothing
		t.Fatal(err)
	}
	second := read(t, letters, 1)[0]
	if first.Payment != made.ID || first.Booking != made.Booking || second.Payment != made.ID || first.ID == second.ID {
		t.Errorf("told %+v and %+v of %+v", first, second, made)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if len(letters) > 0 {
		t.Errorf("and more: %+v", <-letters)
	}
}

func TestAPaymentThatDecidesItselfIsToldThoughNobodyAsks(t *testing.T) {
	t.Parallel()
	p, letters := box(t, sandbox.Options{Decide: time.Millisecond})
	made, err := p.Authorise(t.Context(), ask("tok_pending"))
	if err != nil || made.Status != payment.Pending {
		t.Fatalf("%+v, %v", made, err)
	}
	for _, l := range read(t, letters, 2) { // that it is pending, and that it is not any more
		if l.Payment != made.ID {
			t.Errorf("told of %+v", l)
		}
	}
}

func TestWebhooksComeTwice(t *testing.T) {
	t.Parallel()
	p, letters := box(t, sandbox.Options{Twice: true})
	if _, err := p.Authorise(t.Context(), ask("tok_ok")); err != nil {
		t.Fatal(err)
	}
	if both := read(t, letters, 2); both[0].Event != both[1].Event {
		t.Errorf("two different ones: %+v", both)
	}
}

func TestWebhooksComeLateAndReversed(t *testing.T) {
	t.Parallel()
	const late = 50 * time.Millisecond
	p, letters := box(t, sandbox.Options{Late: late, Reversed: true})
	begun := time.Now()
	first, err1 := p.Authorise(t.Context(), ask("tok_ok"))
	if len(letters) > 0 {
		t.Error("the first of a pair was sent at once")
	}
	second, err2 := p.Authorise(t.Context(), ask("tok_ok"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, l := range read(t, letters, 2) {
		told = append(told, l.Payment)
		if waited := l.at.Sub(begun); waited < late {
			t.Errorf("sent after %v", waited)
		}
	}
	slices.Sort(told)
	want := []string{first.ID, second.ID}
	slices.Sort(want)
	if !slices.Equal(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
}

func TestAWebhookThatIsNotTakenComesAgain(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	p, letters := box(t, sandbox.Options{Deliver: func(context.Context, []byte, string) error {
		if tries.Add(1) == 1 {
			return errors.New("not now")
		}
		return nil
	}})
	made, err := p.Authorise(t.Context(), ask("tok_ok"))
	if err != nil {
		t.Fatal(err)
	}
	if l := read(t, letters, 1)[0]; l.Payment != made.ID || tries.Load() != 2 {
		t.Errorf("after %d tries: %+v", tries.Load(), l)
	}
}

func TestClosingDoesNotWaitForASinkThatTakesNothing(t *testing.T) {
	t.Parallel()
	p, _ := box(t, sandbox.Options{Late: time.Hour, Twice: true})
	for range 50 {
		if _, err := p.Authorise(t.Context(), ask("tok_ok")); err != nil {
			t.Fatal(err)
		}
	}
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it still runs")
	}
}
