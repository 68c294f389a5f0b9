package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment/sandbox"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

func TestPaymentsAreFoundAgainAfterARestart(t *testing.T) {
	t.Parallel()
	o := sandbox.Options{Clock: clock.NewFake(opening), Journal: filepath.Join(t.TempDir(), "payments")}
	p := open(t, o)
	captured, cancelled, authorised, pending := ask("tok_ok"), ask("tok_ok"), ask("tok_lost"), ask("tok_pending")
	before := map[string]payment.Payment{}
	for _, r := range []payment.Request{captured, cancelled, pending, ask("tok_declined")} {
		made, err := p.Authorise(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		before[r.Booking] = made
	}
	if _, err := p.Authorise(t.Context(), authorised); err == nil {
		t.Fatal("the answer was not lost")
	}
	for booking, change := range map[string]func() (payment.Payment, error){
		captured.Booking:  func() (payment.Payment, error) { return p.Capture(t.Context(), before[captured.Booking].ID, "k") },
		cancelled.Booking: func() (payment.Payment, error) { return p.Cancel(t.Context(), before[cancelled.Booking].ID, "k") },
		authorised.Booking: func() (payment.Payment, error) {
			all, err := p.Find(t.Context(), authorised.Booking)
			return all[0], err
		},
	} {
		changed, err := change()
		if err != nil {
			t.Fatal(err)
		}
		before[booking] = changed
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}

	clk := clock.NewFake(opening)
	o.Clock = clk
	p = open(t, o)
	if n := len(p.Payments()); n != len(before) {
		t.Errorf("%d payments became %d", len(before), n)
	}
	for booking, was := range before {
		if all, err := p.Find(t.Context(), booking); err != nil || len(all) != 1 || all[0] != was {
			t.Errorf("%+v became %+v, %v", was, all, err)
		}
	}
	if again, err := p.Authorise(t.Context(), authorised); err != nil || again != before[authorised.Booking] {
		t.Errorf("the lost answer's key says %+v, %v", again, err)
	}
	clk.Advance(sandbox.DefaultDecide)
	if now, err := p.Get(t.Context(), before[pending.Booking].ID); err != nil || now.Status != payment.Authorised {
		t.Errorf("what was pending is %+v, %v", now, err)
	}
}

func TestALineCutShortByADeathIsDropped(t *testing.T) {
	t.Parallel()
	o := sandbox.Options{Clock: clock.NewFake(opening), Journal: filepath.Join(t.TempDir(), "payments")}
	p := open(t, o)
	r := ask("tok_ok")
	made, err := p.Authorise(t.Context(), r)
	if err != nil || p.Close() != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(o.Journal)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(whole, whole[:len(whole)/2]...)
	if err := os.WriteFile(o.Journal, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what is written after it must be readable, too
		p = open(t, o)
		if again, err := p.Authorise(t.Context(), r); err != nil || again != made {
			t.Errorf("%+v became %+v, %v", made, again, err)
		}
		if _, err := p.Authorise(t.Context(), ask("tok_ok")); err != nil || p.Close() != nil {
			t.Fatal(err)
		}
	}
	if p = open(t, o); len(p.Payments()) != 3 {
		t.Errorf("payments: %+v", p.Payments())
	}
}

func TestAJournalThatIsNoneIsNamed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "payments")
	if err := os.WriteFile(path, []byte("{\"ID\":\"sb_1\"}\nnot json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{path, filepath.Join(path, "below a file"), filepath.Dir(path)} {
		if _, err := sandbox.New(sandbox.Options{Journal: at}); err == nil || !strings.Contains(err.Error(), "journal") {
			t.Errorf("%s: %v", at, err)
		}
	}
	if left, err := os.ReadFile(path); err != nil || !strings.Contains(string(left), "not json") {
		t.Errorf("what could not be read was changed to %q, %v", left, err)
	}
}

func TestAJournalHasOneProcess(t *testing.T) {
	t.Parallel()
	o := sandbox.Options{Clock: clock.System(), Journal: filepath.Join(t.TempDir(), "payments")}
	first := open(t, o)
	if _, err := sandbox.New(o); err == nil || !strings.Contains(err.Error(), "another process has it") {
		t.Errorf("opened twice: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, o)
}
