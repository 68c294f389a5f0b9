package waitroom

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func TestQ4_OneVisitorHasOnePlaceHoweverOftenItAsks(t *testing.T) {
	s := start(t, closed)
	f := s.fan()
	f.page("/")
	visitor := f.cookie("place-arena")
	var mu sync.Mutex
	fresh, places := 0, make(map[place.Score]bool)
	var tabs sync.WaitGroup
	for range 20 { // tabs that join at once, and retries of a join whose answer was lost
		tabs.Go(func() {
			tab := s.fan()
			tab.setCookie("place-arena", visitor)
			got, err := tab.try(http.MethodPost, arena+"join", nil)
			if err != nil || got.status != http.StatusOK && got.status != http.StatusCreated {
				t.Errorf("%v %d %s", err, got.status, got.body)
				return
			}
			tok, err := s.app().Places().Open("arena", tab.cookie("place-arena"))
			mu.Lock()
			defer mu.Unlock()
			if err != nil || got.Visitor != tok.Visitor.String() {
				t.Errorf("%v %s", err, got.body)
			}
			places[tok.Score] = true
			if got.status == http.StatusCreated {
				fresh++
			}
		})
	}
	tabs.Wait()
	if fresh != 1 || len(places) != 1 {
		t.Errorf("%d fresh joins, %d places", fresh, len(places))
	}
	last := s.fan()
	last.joined()
	s.until("both wait", func(v *room.View) bool { return v.Waiting == 2 && v.Board.Waiting() == 2 })
	if got := last.get(arena + "status"); got.Position != 2 || got.Ahead != 1 || got.Waiting != 2 {
		t.Errorf("%s", got.body)
	}
}

func TestAJoinWithoutCookiesIsANewVisitor(t *testing.T) {
	s := start(t, closed)
	a, b := s.fan().joined(), s.fan().joined()
	if a.Visitor == b.Visitor || a.Visitor == "" {
		t.Error("two browsers are one visitor")
	}
	for _, cookie := range []string{"x", strings.Repeat("A", place.TokenLength), strings.Repeat("A", 9000)} {
		f := s.fan()
		f.setCookie("place-arena", cookie)
		f.get(arena+"status").is(t, http.StatusNotFound, "not-queued")
		f.joined() // what does not open is no place
	}
	f := s.fan()
	f.setCookie("place-arena", s.app().Places().Seal("club", place.Token{Visitor: place.Visitor{1}, Score: 1}))
	f.get(arena+"status").is(t, http.StatusNotFound, "not-queued")
}

// The suspect waits behind everybody and is not told.
func TestASuspectWaitsBehindTheOthers(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("@suspect header X-Suspect 1\nvars @suspect botguard.deprioritise true\nwaitroom arena {\n" + closed + "\n}"))
	suspect, human := s.fan(), s.fan()
	got := suspect.do(http.MethodPost, arena+"join", map[string]string{"X-Suspect": "1"})
	if got.status != http.StatusCreated || strings.Contains(got.body, "deprior") {
		t.Fatalf("%d %s", got.status, got.body)
	}
	human.joined()
	s.until("both wait", func(v *room.View) bool { return v.Board != nil && v.Board.Waiting() == 2 })
	if a, b := human.get(arena+"status"), suspect.get(arena+"status"); a.Position != 1 || b.Position != 2 {
		t.Errorf("human %d, suspect %d", a.Position, b.Position)
	}
}

func TestLeavingFreesThePlaceAtOnce(t *testing.T) {
	s := start(t, closed)
	f := s.fan()
	f.joined()
	before := f.place()
	for range 2 { // leaving twice is leaving once
		got := f.post(arena + "leave")
		if got.status != http.StatusNoContent || got.body != "" {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	s.until("nobody waits", func(v *room.View) bool { return v.Waiting == 0 })
	f.get(arena+"status").is(t, http.StatusNotFound, "not-queued")
	f.joined()
	if after := f.place(); after.Visitor != before.Visitor || after.Score <= before.Score {
		t.Errorf("before %+v, after %+v", before, after)
	}
	s.fan().post(arena+"leave").is(t, http.StatusNoContent, "")
}

func TestAFullQueueRefusesPolitely(t *testing.T) {
	s := start(t, closed+"\nmax_queue 1")
	inside := s.fan()
	inside.joined()
	late := s.fan()
	got := late.post(arena + "join")
	got.is(t, http.StatusServiceUnavailable, "queue-full")
	if got.header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
	if got := inside.post(arena + "join"); got.status != http.StatusOK {
		t.Errorf("who waits already: %d %s", got.status, got.body)
	}
	if got := late.form(arena + "join?to=/x"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/x#queue-full" {
		t.Errorf("without scripts: %d %v", got.status, got.header)
	}
}

func TestTheScheduleDecidesWhoMayComeIn(t *testing.T) {
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	s := newSite(t)
	for _, c := range []struct{ block, state, code string }{
		{"opens " + at(time.Hour), "scheduled", "not-open"},
		{"opens " + at(time.Hour) + "\nlobby 59m59s", "lobby", ""},
		{"opens " + at(-time.Hour), "open", ""},
		{"opens " + at(-2*time.Hour) + "\ncloses " + at(-time.Hour), "closed", "closed"},
	} {
		s.load(s.arena(closed + "\n" + c.block))
		s.until("the room is "+c.state, func(v *room.View) bool { return string(v.State) == c.state && v.Now.Sub(time.Now()).Abs() < time.Hour })
		f := s.fan()
		if page := f.page("/"); page.status != http.StatusOK || !strings.Contains(page.body, `"state":"`+c.state+`"`) {
			t.Errorf("%s: the page: %d", c.state, page.status)
		}
		if got := f.post(arena + "join"); got.Code != c.code || (c.code == "") != (got.status == http.StatusCreated) {
			t.Errorf("%s: %d %s", c.state, got.status, got.body)
		}
		if c.state == "lobby" {
			if got := f.get(arena + "status"); got.State != "lobby" || got.Position != 0 || !f.place().Score.Undrawn() {
				t.Errorf("in the lobby: %s", got.body)
			}
		}
	}
}
