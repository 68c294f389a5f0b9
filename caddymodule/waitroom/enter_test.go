package waitroom

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// alwaysOn lets people straight through while there is room.
const alwaysOn = "admit 6000/s"

// in has the fan open a page, until it is let straight through.
func (f *fan) in(path string) reply {
	f.s.t.Helper()
	var got reply
	eventually.Holds(f.s.t, "the door is open", func() bool {
		got = f.page(path)
		return got.reachedSite()
	})
	return got
}

// entered counts the attempts with an outcome.
func (s *site) entered(outcome string) float64 {
	s.t.Helper()
	return s.metric("requests_total", map[string]string{"action": "enter", "outcome": outcome})
}

func TestAnIdleRoomIsNotNoticed(t *testing.T) {
	s := start(t, alwaysOn)
	f := s.fan()
	first := f.in("/seats?block=A")
	if first.status != http.StatusOK || first.header.Get("Location") != "" {
		t.Errorf("%d %v", first.status, first.header)
	}
	pass, place := f.cookie("pass-arena"), f.cookie("place-arena")
	if pass == "" || place == "" || len(first.header.Values("Set-Cookie")) != 2 {
		t.Fatalf("the answer sets %q", first.header.Values("Set-Cookie"))
	}
	if f.place().Placed() {
		t.Error("a place was taken")
	}
	seen, _ := s.behind.last()
	if seen.Header.Get("Waitroom-Visitor") != f.place().Visitor.String() || seen.Header.Get("Waitroom-Pass") != pass || seen.Header.Get("Cookie") != "" {
		t.Errorf("the site was told %v", seen.Header)
	}
	if claims, err := s.app().Verifier().Verify(pass, "arena"); err != nil || claims.Visitor != f.place().Visitor.String() {
		t.Errorf("the pass: %+v %v", claims, err)
	}
	for range 3 {
		if again := f.page("/seats"); !again.reachedSite() || again.header.Get("Set-Cookie") != "" {
			t.Errorf("with the pass: %d %v", again.status, again.header)
		}
	}
	if got := f.get("/api"); !got.reachedSite() {
		t.Errorf("a script of the page: %d", got.status)
	}
	if got := f.get(arena + "status"); got.State != "active" {
		t.Errorf("status: %d %s", got.status, got.body)
	}
	if got := s.entered("passed"); got != 1 {
		t.Errorf("%v sessions begun", got)
	}
	s.until("the session is counted", func(v *room.View) bool { return v.Active == 1 && v.Waiting == 0 && v.Turns == 0 })
	s.redis.Kill()
	if got := f.page("/"); !got.reachedSite() { // a pass-holder costs no call
		t.Errorf("without Redis: %d", got.status)
	}
}

// A session begins with a page that somebody opens, and with nothing else.
func TestProgramsAndMonitorsBeginNoSession(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("@suspect header X-Suspect 1\nvars @suspect botguard.deprioritise true\nwaitroom arena {\n" + alwaysOn + "\n}"))
	s.fan().in("/")
	_, before := s.behind.last()
	for _, one := range []struct {
		method string
		header map[string]string
		status int
	}{
		{http.MethodGet, map[string]string{"Accept": "application/json"}, http.StatusUnauthorized},
		{http.MethodGet, map[string]string{"Accept": "*/*", "Sec-Fetch-Dest": "image"}, http.StatusUnauthorized},
		{http.MethodPost, map[string]string{"Accept": "*/*"}, http.StatusUnauthorized},
		{http.MethodHead, map[string]string{"Accept": "text/html"}, http.StatusOK},                  // the page's headers
		{http.MethodGet, map[string]string{"Accept": "text/html", "X-Suspect": "1"}, http.StatusOK}, // the page
	} {
		f := s.fan()
		if got := f.do(one.method, "/seats", one.header); got.status != one.status || f.cookie("pass-arena") != "" {
			t.Errorf("%v: %d %v", one, got.status, got.header)
		}
	}
	if _, n := s.behind.last(); n != before {
		t.Errorf("%d requests reached the site", n-before)
	}
	for _, header := range []map[string]string{{"Accept": "text/html"}, {"Accept": ""}, {"Accept": "*/*"}} { // browsers and curl
		eventually.Holds(t, "a page is a page", func() bool { return s.fan().do(http.MethodGet, "/", header).reachedSite() })
	}
	eventually.Holds(t, "a form too", func() bool {
		return s.fan().do(http.MethodPost, "/", map[string]string{"Accept": "text/html"}).reachedSite()
	})
}

func TestQ1_WhenTheRoomIsFullEverybodyQueuesBehindTheFirst(t *testing.T) {
	s := start(t, alwaysOn+"\nactive 1")
	inside, first, second := s.fan(), s.fan(), s.fan()
	inside.in("/")
	if got := first.page("/"); got.reachedSite() || !strings.Contains(got.body, "<html") {
		t.Fatalf("beyond the cap: %d", got.status)
	}
	first.joined()
	s.until("one waits", func(v *room.View) bool { return v.Waiting == 1 })
	if err := s.room().Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	inside.post(arena+"leave").is(t, http.StatusNoContent, "")
	s.until("the slot is free", func(v *room.View) bool { return v.Active == 0 && v.State == room.Paused })
	if got := second.page("/"); got.reachedSite() {
		t.Fatal("let through a room that is paused")
	}
	if err := s.room().Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually.Holds(t, "it is the first one's turn", func() bool {
		if second.page("/").reachedSite() {
			t.Fatal("overtaken")
		}
		return first.post(arena+"claim").status == http.StatusOK
	})
	if s.entered("queued") == 0 || s.entered("passed") != 1 {
		t.Errorf("queued %v, passed %v", s.entered("queued"), s.entered("passed"))
	}
}

func TestQueueAllShowsEverybodyThePage(t *testing.T) {
	s := start(t, alwaysOn+"\nqueue all")
	s.until("the room is in force", func(v *room.View) bool { return len(v.Generations) > 0 && !v.Differs })
	for range 20 {
		f := s.fan()
		if got := f.page("/"); got.reachedSite() || f.cookie("pass-arena") != "" {
			t.Fatalf("%d %v", got.status, got.header)
		}
	}
	inside := s.fan()
	inside.admitted()
	s.load(s.arena(alwaysOn)) // the incident is over
	s.fan().in("/")
	s.load(s.arena(alwaysOn + "\nqueue all"))
	if got := s.fan().page("/"); got.reachedSite() {
		t.Error("let through again")
	}
	if !inside.page("/").reachedSite() {
		t.Error("who was inside is not")
	}
	if got := s.entered("queued") + s.entered("passed"); got != 1 {
		t.Errorf("%v attempts are counted", got) // where everybody queues nothing is attempted
	}
}

// While Redis is away the page is shown and places are signed, as in any room.
func TestWithoutRedisAnAlwaysOnRoomQueues(t *testing.T) {
	s := start(t, alwaysOn)
	s.fan().in("/")
	s.age()
	s.redis.Kill()
	f := s.fan()
	if got := f.page("/"); got.status != http.StatusOK || got.reachedSite() {
		t.Fatalf("%d %.100s", got.status, got.body)
	}
	visitor := f.place().Visitor
	f.joined()
	if tok := f.place(); !tok.Placed() || tok.Generation != 0 || tok.Visitor != visitor {
		t.Errorf("%+v, as %s before", tok, visitor)
	}
	s.redis.Start()
	eventually.Holds(t, "its turn comes", func() bool { return f.post(arena+"claim").status == http.StatusOK })
}

// A pass must never come out of a cache: who gets it would be somebody else.
func TestAnAnswerWithAPassIsKeptOutOfSharedCaches(t *testing.T) {
	s := newSite(t)
	body := "waitroom arena {\n" + alwaysOn + "\n}\nheader {\nCache-Control \"public, max-age=600\"\nExpires \"Wed, 01 Dec 2100 00:00:00 GMT\"\nCDN-Cache-Control \"max-age=600\"\nSurrogate-Control \"max-age=600\"\ndefer\n}\n"
	body = "route {\n" + strings.Replace(body, "\ndefer", "", 1) + "respond \"the ticket site\"\n}"
	s.load(s.server("http://:0", body))
	f := s.fan()
	got := f.in("/")
	if got.header.Get("Cache-Control") != "private, no-cache" || got.header.Get("Expires")+got.header.Get("CDN-Cache-Control")+got.header.Get("Surrogate-Control") != "" {
		t.Errorf("%v", got.header)
	}
	if got := f.page("/"); got.header.Get("Cache-Control") != "public, max-age=600" || got.header.Get("CDN-Cache-Control") == "" {
		t.Errorf("without a new pass: %v", got.header)
	}
	s.load(s.server("http://:0", strings.Replace(body, "public, max-age=600", "No-Store", 1)))
	if got := s.fan().in("/"); got.header.Get("Cache-Control") != "No-Store" {
		t.Errorf("a stricter word of the site: %v", got.header)
	}
}

// Whatever the site answers, the session that was taken is the visitor's.
func TestTheSessionIsHandedOverWithAnyAnswer(t *testing.T) {
	s := start(t, alwaysOn)
	s.fan().in("/")
	done := s.fan()
	eventually.Holds(t, "a page that ends the session at once", func() bool { return done.page("/done").reachedSite() })
	if done.cookie("pass-arena") != "" || done.cookie("place-arena") == "" {
		t.Error("the browser keeps a pass that was ended")
	}
	s.behind.CloseClientConnections()
	s.behind.Close()
	f := s.fan()
	eventually.Holds(t, "the site is away", func() bool { return f.page("/").status == http.StatusBadGateway })
	if f.cookie("pass-arena") == "" || f.cookie("place-arena") == "" {
		t.Error("the session is lost with the site's answer")
	}
	before := s.entered("passed")
	if got := f.page("/"); got.status != http.StatusBadGateway || s.entered("passed") != before {
		t.Errorf("coming again: %d", got.status)
	}
}

// A browser that lost its pass finds the session, and none is begun beside it.
func TestAVisitorHasOneSessionHoweverOftenItComesIn(t *testing.T) {
	s := start(t, alwaysOn+"\nactive 2")
	f := s.fan()
	f.in("/")
	first, err := s.app().Verifier().Verify(f.cookie("pass-arena"), "arena")
	if err != nil {
		t.Fatal(err)
	}
	f.setCookie("pass-arena", "")
	f.in("/")
	second, err := s.app().Verifier().Verify(f.cookie("pass-arena"), "arena")
	if err != nil || !second.Expires.Equal(first.Expires) {
		t.Errorf("%v ends at %v, the first at %v", err, second.Expires, first.Expires)
	}
	if s.entered("passed") != 1 || s.entered("again") != 1 {
		t.Errorf("passed %v, again %v", s.entered("passed"), s.entered("again"))
	}
	f.post(arena+"leave").is(t, http.StatusNoContent, "")
	f.in("/") // and there is room for the next
	if s.entered("passed") != 2 {
		t.Error("a session that was ended was found again")
	}
}

// Who had a turn long ago is a visitor like any other: the way in is straight.
func TestASpentPlaceStandsInNobodysWay(t *testing.T) {
	s := start(t, alwaysOn+"\nqueue all")
	f := s.fan()
	f.admitted()
	spent := f.cookie("place-arena")
	f.post(arena+"leave").is(t, http.StatusNoContent, "")
	s.load(s.arena(alwaysOn))
	f.setCookie("place-arena", spent)
	f.in("/")
	if f.place().Placed() || f.place().Visitor == (place.Visitor{}) {
		t.Errorf("%+v", f.place())
	}
}

// An answer of another room's gate hands over the session as the site's would.
func TestAGateOfAnotherRoomBehindKeepsTheFirstSession(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("route {\nwaitroom arena {\n" + alwaysOn + "\n}\nwaitroom /vip* club {\n" + closed + "\n}\n}"))
	f := s.fan()
	eventually.Holds(t, "the first gate is open", func() bool { f.page("/vip"); return f.cookie("pass-arena") != "" })
	if got := f.page("/vip"); got.reachedSite() || f.cookie("place-club") == "" {
		t.Errorf("the second gate: %d", got.status)
	}
	if got := f.page("/"); !got.reachedSite() {
		t.Errorf("inside of the first: %d", got.status)
	}
}

// Redis began the session, and its answer never came: the page's own join finds it.
func TestASessionWhoseAnswerWasLostIsFoundByJoining(t *testing.T) {
	s := start(t, alwaysOn)
	s.fan().in("/")
	f := s.fan()
	s.redis.Pause() // what is sent meanwhile is done later
	got := f.page("/")
	s.redis.Resume()
	if got.reachedSite() || s.entered("unavailable") != 1 {
		t.Fatalf("%d, unavailable %v", got.status, s.entered("unavailable"))
	}
	eventually.Holds(t, "the join finds the session", func() bool {
		got = f.post(arena + "join")
		return got.status == http.StatusOK && got.State == "active"
	})
	f.post(arena+"claim").is(t, http.StatusOK, "")
	if !f.page("/").reachedSite() {
		t.Error("the pass does not hold")
	}
	s.until("there are two sessions", func(v *room.View) bool { return v.Active == 2 && v.Turns == 0 })
}
