package room

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// sliding is a room whose sessions of a minute may become an hour long, and a
// visitor with such a session.
func sliding(t *testing.T) (*edge, *counted, place.Visitor, Claim) {
	t.Helper()
	e, c := alwaysOn(t, func(c *Config) { c.Sliding = time.Hour })
	fan := visitor(t)
	var got Claim
	e.until("the door is open", func(*View) bool {
		var err error
		got, err = e.Enter(t.Context(), fan)
		return err == nil
	})
	return e, c, fan.Visitor, got
}

// used is the pass of a session of which so much is left, by which it was given.
func (e *edge) used(v place.Visitor, left time.Duration) Used {
	e.t.Helper()
	now := e.Now()
	member := v[:]
	if err := e.redis.Client().Do(e.t.Context(), "ZADD", "tickets:{arena}:active", now.Add(left).UnixMilli(), member).Err(); err != nil {
		e.t.Fatal(err)
	}
	expires := now.Add(left)
	return Used{Visitor: v.String(), ID: "a pass", Issued: expires.Add(-time.Minute), Expires: expires, Began: expires.Add(-time.Minute)}
}

func TestASessionIsRenewedInTheSecondHalfOfItsPassAndOnce(t *testing.T) {
	t.Parallel()
	e, c, v, _ := sliding(t)
	if _, err := e.Renew(t.Context(), e.used(v, 40*time.Second)); !errors.Is(err, ErrNotDue) || c.renewals.Load() != 0 {
		t.Errorf("in the first half: %v, %d calls", err, c.renewals.Load())
	}
	held := e.used(v, 20*time.Second)
	var renewed atomic.Int32
	var all sync.WaitGroup
	for range 50 { // a page with many files
		all.Go(func() {
			got, err := e.Renew(t.Context(), held)
			switch {
			case err == nil && got.Expires.Sub(got.Issued) == time.Minute && got.Began.Equal(held.Began):
				renewed.Add(1)
			case !errors.Is(err, ErrNotDue):
				t.Error(got, err)
			}
		})
	}
	all.Wait()
	if renewed.Load() != 1 || c.renewals.Load() != 1 {
		t.Errorf("renewed %d times with %d calls", renewed.Load(), c.renewals.Load())
	}
	e.clock.Advance(2 * renewalAgain) // the answer never reached the fan, who comes with the old pass
	if _, err := e.Renew(t.Context(), held); err != nil && !errors.Is(err, ErrNotDue) {
		t.Error(err)
	}
	if c.renewals.Load() != 2 {
		t.Errorf("a renewal whose answer was lost is not asked for again: %d calls", c.renewals.Load())
	}
}

func TestWhatCannotBeRenewedCostsNoCall(t *testing.T) {
	t.Parallel()
	e, c, v, _ := sliding(t)
	held := e.used(v, 20*time.Second)
	quiet := func(why string, held Used) {
		t.Helper()
		if _, err := e.Renew(t.Context(), held); !errors.Is(err, ErrNotDue) || c.renewals.Load() != 0 {
			t.Errorf("%s: %v, %d calls", why, err, c.renewals.Load())
		}
	}
	longest := held
	longest.Began = longest.Expires.Add(-time.Hour)
	quiet("as long as it may be", longest)
	cfg := e.Config()
	cfg.Sliding = 0
	e.Apply(cfg)
	quiet("a room of fixed sessions", held)
	cfg.Sliding = time.Hour
	e.Apply(cfg)
	e.redis.Kill()
	e.until("the edge knows", func(v *View) bool { return v.Degraded })
	quiet("without Redis", held)
}

func TestASessionThatWasEndedElsewhereIsNotRenewed(t *testing.T) {
	t.Parallel()
	e, _, v, _ := sliding(t)
	held := e.used(v, 20*time.Second)
	if _, err := e.queue.Release(t.Context(), v); err != nil { // another edge, a moment ago
		t.Fatal(err)
	}
	if _, err := e.Renew(t.Context(), held); !errors.Is(err, queue.ErrOver) {
		t.Error(err)
	}
}

// Who loses the pass and is given another has as long as before, not the longest anew.
func TestASecondPassOfASessionHasItsBegin(t *testing.T) {
	t.Parallel()
	e, _, v, first := sliding(t)
	fan := place.Token{Visitor: v}
	again := func() Claim {
		t.Helper()
		e.until("a moment at which Redis is asked", func(*View) bool { return e.worthAsking(fan) })
		got, err := e.queue.Enter(t.Context(), v)
		if err != nil || !got.Again {
			t.Fatalf("%+v %v", got, err)
		}
		return e.session(t.Context(), v, got)
	}
	if !first.Began.Equal(first.Issued) {
		t.Errorf("a session that begins, began at %v", first.Began)
	}
	if got := again(); !got.Began.Equal(first.Began) {
		t.Errorf("never renewed: %v, want %v", got.Began, first.Began)
	}
	held := e.used(v, 20*time.Second)
	held.Began = held.Expires.Add(-30 * time.Minute).Truncate(time.Millisecond)
	if _, err := e.Renew(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	if got := again(); !got.Began.Equal(held.Began) {
		t.Errorf("renewed: %v, want %v", got.Began, held.Began)
	}
	stale := e.Now().Add(-2 * time.Hour).UnixMilli()
	if err := e.redis.Client().Do(t.Context(), "ZADD", "tickets:{arena}:begun", stale, v[:]).Err(); err != nil {
		t.Fatal(err)
	}
	if got := again(); !got.Began.Equal(got.Expires.Add(-time.Minute)) {
		t.Errorf("an old note: %v", got.Began)
	}
	e.redis.Kill()
	if got := e.session(t.Context(), v, queue.Claim{At: e.Now(), Expires: e.Now().Add(time.Minute), Again: true}); got.Began.Add(time.Hour).After(got.Expires) {
		t.Errorf("without Redis it can be renewed until %v, and ends at %v", got.Began.Add(time.Hour), got.Expires)
	}
}

func TestRenewalsAskedForAreBounded(t *testing.T) {
	t.Parallel()
	var n renewals
	now := time.Now()
	for i := range maxRenewals + 10 {
		if !n.first(string(rune(i))+"x", now) && i < 0xd800 {
			t.Fatalf("pass %d was asked with before", i)
		}
	}
	if len(n.asked) > maxRenewals {
		t.Errorf("%d are remembered", len(n.asked))
	}
	n.first("again", now.Add(renewalAgain))
	n.first("again", now.Add(2*renewalAgain))
	if len(n.asked)+len(n.older) > 2 {
		t.Errorf("%d are still remembered", len(n.asked)+len(n.older))
	}
}
