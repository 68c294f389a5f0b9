package waitroom

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func (f *fan) claims() pass.Claims {
	f.s.t.Helper()
	c, err := f.s.app().Verifier().Verify(f.cookie("pass-arena"), "arena")
	if err != nil {
		f.s.t.Fatalf("the pass: %v", err)
	}
	return c
}

func (s *site) renewed(outcome string) float64 {
	s.t.Helper()
	return s.metric("requests_total", map[string]string{"action": "renew", "outcome": outcome})
}

// Whoever uses the site stays inside, pass after pass, until the longest time is over.
func TestASlidingSessionIsRenewedByUseUpToItsLongest(t *testing.T) {
	s := start(t, "admit 6000/s\nqueue all\nsession 3s sliding 6s")
	f := s.fan()
	f.admitted()
	first := f.claims()
	passes := 1
	var last reply
	eventually.Holds(t, "the session is over", func() bool {
		last = f.get("/api")
		if last.status != http.StatusOK {
			return true
		}
		if len(last.header.Values("Set-Cookie")) == 0 {
			return false
		}
		passes++
		c := f.claims()
		if c.Visitor != first.Visitor || c.ID == first.ID || !c.Began.Equal(first.Began) || c.Binding != first.Binding {
			t.Errorf("renewed: %+v, the first: %+v", c, first)
		}
		if c.Expires.Sub(c.IssuedAt) > 3*time.Second || c.Expires.After(first.Began.Add(6*time.Second)) {
			t.Errorf("from %v to %v, in a session that began %v", c.IssuedAt, c.Expires, first.Began)
		}
		if seen, _ := s.behind.last(); seen.Header.Get("Waitroom-Pass") != f.cookie("pass-arena") {
			t.Error("the site was not given the pass of now")
		}
		if cc := last.header.Get("Cache-Control"); cc != "private, no-cache" {
			t.Errorf("an answer with a pass may be cached: %q", cc)
		}
		return false
	})
	last.is(t, http.StatusUnauthorized, "pass-required")
	if lasted := time.Since(first.Began); lasted < 4*time.Second || lasted > 8*time.Second {
		t.Errorf("it lasted %v", lasted)
	}
	if n := s.renewed("done"); passes < 2 || n != float64(passes-1) {
		t.Errorf("%d passes, %v renewals", passes, n)
	}
}

func TestAFixedSessionIsNeverRenewed(t *testing.T) {
	s := start(t, "admit 6000/s\nqueue all\nsession 2s")
	f := s.fan()
	f.admitted()
	eventually.Holds(t, "the session is over", func() bool {
		got := f.get("/api")
		if got.header.Get("Set-Cookie") != "" {
			t.Error("another pass was given")
		}
		return got.status != http.StatusOK
	})
	if n := s.renewed("done") + s.renewed("over"); n > 0 {
		t.Errorf("%v renewals", n)
	}
}

// inSecondHalf waits until a renewal would be due.
func (f *fan) inSecondHalf() {
	f.s.t.Helper()
	c := f.claims()
	half := c.IssuedAt.Add(c.Expires.Sub(c.IssuedAt) / 2)
	f.s.until("the second half of the pass", func(v *room.View) bool { return v.Now.After(half) })
}

// The files of a page come with one pass, and one of them brings the next.
func TestManyRequestsAtOnceRenewOnce(t *testing.T) {
	s := start(t, "admit 6000/s\nqueue all\nsession 5s sliding 1h")
	f := s.fan()
	f.admitted()
	f.inSecondHalf()
	old := f.cookie("pass-arena")
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			tab := s.fan()
			tab.setCookie("pass-arena", old)
			if got, err := tab.try(http.MethodGet, "/file", nil); err != nil || got.status != http.StatusOK {
				t.Errorf("%v %d", err, got.status)
			}
		})
	}
	all.Wait()
	if n := s.renewed("done"); n != 1 {
		t.Errorf("renewed %v times", n)
	}
	s.redis.Pause() // and whoever has a pass that holds is not kept waiting by Redis
	defer s.redis.Resume()
	if got := f.get("/file"); got.status != http.StatusOK {
		t.Errorf("%d", got.status)
	}
}

// The site's word that a visitor is done stands above a renewal of the same moment.
func TestTheSiteEndsASlidingSession(t *testing.T) {
	s := start(t, "admit 6000/s\nqueue all\nsession 3s sliding 1h")
	f := s.fan()
	f.admitted()
	f.inSecondHalf()
	old := f.cookie("pass-arena")
	if got := f.page("/done"); !got.reachedSite() {
		t.Fatalf("%d", got.status)
	}
	if f.cookie("pass-arena") != "" {
		t.Error("the browser keeps a pass")
	}
	f.setCookie("pass-arena", old)
	if got := f.get("/api"); got.status != http.StatusUnauthorized {
		t.Errorf("the session goes on: %d", got.status)
	}
	s.until("the slot is free", func(v *room.View) bool { return v.Active == 0 })
}

// A pass of a session that Redis knows no more is good to its end, and no longer.
func TestASessionThatIsGoneIsNotRenewed(t *testing.T) {
	s := start(t, "admit 6000/s\nqueue all\nsession 3s sliding 1h")
	f := s.fan()
	f.admitted()
	v := f.place().Visitor
	if err := s.redis.Client().Do(t.Context(), "ZREM", "tickets:{arena}:active", v[:]).Err(); err != nil {
		t.Fatal(err)
	}
	f.inSecondHalf()
	if got := f.get("/api"); got.status != http.StatusOK || got.header.Get("Set-Cookie") != "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	if s.renewed("over") != 1 || s.renewed("done") != 0 {
		t.Errorf("over %v, done %v", s.renewed("over"), s.renewed("done"))
	}
}

// A pass that was lost is given again with the begin of its session: the longest time
// does not start anew.
func TestAPassThatIsGivenAgainKeepsTheBegin(t *testing.T) {
	s := start(t, "admit 6000/s\nqueue all\nsession 3s sliding 1h")
	f := s.fan()
	f.admitted()
	first := f.claims()
	f.inSecondHalf()
	eventually.Holds(t, "it is renewed", func() bool { f.get("/api"); return s.renewed("done") == 1 })
	f.setCookie("pass-arena", "")
	f.post(arena+"claim").is(t, http.StatusOK, "")
	if c := f.claims(); !c.Began.Equal(first.Began) || !c.IssuedAt.After(first.IssuedAt) {
		t.Errorf("given again: %+v, the first: %+v", c, first)
	}
}
