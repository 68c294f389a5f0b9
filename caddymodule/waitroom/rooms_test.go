package waitroom

import (
	"net/http"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// at is a fan of the site as it is reached elsewhere.
func (s *site) at(url string) *fan {
	there := *s
	there.url = url
	return there.fan()
}

// Two sites that name one room have one queue, one order and one cap. Cookies are
// kept by host, so a place or a pass of one is not shown to the other.
func TestTwoSitesShareOneQueue(t *testing.T) {
	s := newSite(t)
	config := func(admit string) string {
		return s.caddyfile("waitroom arena {\n"+admit+"\nactive 1\n}") +
			"http://localhost:0 {\nbind 127.0.0.2\nwaitroom arena\nrespond \"the ticket site\"\n}\n"
	}
	s.load(config(closed))
	other := caddytest.URLOn(t, "127.0.0.2")
	local := map[string]string{"Host": "localhost"}
	first, second, third := s.fan(), s.at(other), s.fan()
	first.joined()
	if got := second.do(http.MethodPost, arena+"join", local); got.status != http.StatusCreated {
		t.Fatalf("at the other site: %d %s", got.status, got.body)
	}
	third.joined()
	s.until("three wait", func(v *room.View) bool { return v.Waiting == 3 && v.Board != nil && v.Board.Waiting() == 3 })
	for i, got := range []reply{first.get(arena + "status"), second.do(http.MethodGet, arena+"status", local), third.get(arena + "status")} {
		if got.Position != i+1 || got.Waiting != 3 {
			t.Errorf("fan %d: %s", i, got.body)
		}
	}
	if rooms := s.app().Rooms(); len(rooms) != 1 {
		t.Errorf("%d rooms", len(rooms))
	}

	s.load(config(open)) // one slot for both sites
	other = caddytest.URLOn(t, "127.0.0.2")
	second.s.url = other
	eventually.Holds(t, "the first one's turn", func() bool { return first.post(arena+"claim").status == http.StatusOK })
	second.do(http.MethodPost, arena+"claim", local).is(t, http.StatusConflict, "not-yet")
	if !first.page("/").reachedSite() {
		t.Error("the pass does not hold at its own site")
	}
	elsewhere := s.at(other)
	elsewhere.http.Jar = first.http.Jar // the same browser
	if got := elsewhere.do(http.MethodGet, "/", local); got.reachedSite() {
		t.Error("a browser showed the pass of one host to another")
	}
	first.post(arena+"leave").is(t, http.StatusNoContent, "")
	eventually.Holds(t, "the second one's turn", func() bool {
		return second.do(http.MethodPost, arena+"claim", local).status == http.StatusOK
	})
	if got := second.do(http.MethodGet, "/", local); !got.reachedSite() {
		t.Errorf("the other site: %d", got.status)
	}
}

// A site may have several rooms. The pass of one opens no other, whichever cookie it
// comes in, and each has its own visitor, queue and cap.
func TestTheRoomsOfASiteHaveNothingInCommon(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("waitroom /a* arena {\n" + open + "\n}\nwaitroom /c* club {\n" + closed + "\n}\nwaitroom /d* disco {\n" + alwaysOn + "\nactive 1\n}"))
	f := s.fan()
	f.page("/c")
	f.admitted()
	pass, place := f.cookie("pass-arena"), f.cookie("place-arena")
	if !f.page("/a").reachedSite() || f.cookie("place-club") == place {
		t.Fatal("the room's own pass does not hold, or a visitor is shared")
	}
	for _, cookies := range []string{"pass-club=" + pass, "pass-arena=" + pass, "pass-club=" + pass + "; place-club=" + place} {
		got := s.fan().do(http.MethodGet, "/c", map[string]string{"User-Agent": goClient, "Cookie": cookies})
		got.is(t, http.StatusUnauthorized, "pass-required")
		for _, what := range []string{"claim", "status"} {
			method := map[string]string{"claim": http.MethodPost, "status": http.MethodGet}[what]
			got := s.fan().do(method, "/.waitroom/club/"+what, map[string]string{"User-Agent": goClient, "Cookie": cookies})
			got.is(t, http.StatusNotFound, "not-queued")
		}
	}
	f.post("/.waitroom/club/join")
	eventually.Holds(t, "another room lets through by its own rules", func() bool { return f.page("/d").reachedSite() })
	if got := s.fan().page("/d"); got.reachedSite() {
		t.Error("beyond the cap of that room")
	}
	f.post("/.waitroom/disco/leave").is(t, http.StatusNoContent, "")
	if !f.page("/a").reachedSite() {
		t.Error("leaving one room ended the session in another")
	}
	for _, r := range s.app().Rooms() {
		name, waiting := r.Name(), map[string]int{"club": 1}[r.Name()]
		eventually.Holds(t, name+" has its own queue", func() bool { return r.View().Waiting == waiting })
	}
	if inside, _ := s.behind.last(); inside.Header.Get("Waitroom-Pass") != pass {
		t.Error("the site was given the pass of another room")
	}
}

// A room for a part of a site works beside one for the whole of it: its own endpoints
// do not lie behind the other's gate.
func TestARoomForAPartWorksBesideOneForTheWhole(t *testing.T) {
	for name, matcher := range map[string]string{"a path": "/sale*", "a matcher": "@sale"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.load(s.caddyfile("@sale path /sale* /buy*\nwaitroom shop {\n" + closed + "\n}\nwaitroom " + matcher + " arena {\n" + open + "\n}"))
			f := s.fan()
			page := f.page("/sale")
			if page.reachedSite() || f.cookie("place-arena") == "" {
				t.Fatalf("%d", page.status)
			}
			f.admitted()
			line := f.get(arena + "status")
			if line.State != "active" {
				t.Errorf("%d %s", line.status, line.body)
			}
			if got := f.page("/sale"); got.reachedSite() || f.cookie("place-shop") == "" {
				t.Errorf("the whole site's own room was passed by: %d", got.status)
			}
			for _, path := range []string{"/.waitroom/arena/x", "/.waitroom/arena/", "/.waitroom/arena/join/"} {
				f.get(path).is(t, http.StatusUnauthorized, "pass-required") // the endpoints open nothing else
			}
			if _, n := s.behind.last(); n > 0 {
				t.Errorf("%d requests reached the site", n)
			}
		})
	}
}
