package waitroom

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// age waits until a queue that begins now gets another generation: they are named
// by the second, and a test is faster than any real loss.
func (s *site) age() {
	s.t.Helper()
	s.until("the queue is a second old", func(v *room.View) bool { return len(v.Generations) > 0 && v.Now.Unix() > int64(v.Generations[0]) })
}

func TestWithoutRedisAtTheStartFansGetTheirPlaces(t *testing.T) {
	s := newSite(t)
	s.redis.Kill()
	s.load(s.arena(open))
	f := s.fan()
	if got := f.page("/"); got.status != http.StatusOK {
		t.Fatalf("the page: %d", got.status)
	}
	f.joined()
	signed := f.place()
	if !signed.Placed() || signed.Generation != 0 {
		t.Fatalf("the place %+v", signed)
	}
	line := f.stream(nil)
	line.next("position")
	s.until("the edge knows", func(v *room.View) bool { return v.Degraded })
	if got := f.get(arena + "status"); got.status != http.StatusOK || got.Message == "" {
		t.Errorf("status: %d %s", got.status, got.body)
	}
	f.post(arena+"claim").is(t, http.StatusServiceUnavailable, "unavailable")
	if got := s.metric("degraded", nil); got != 1 {
		t.Errorf("degraded is %v", got)
	}
	s.redis.Start()
	line.next("admitted")
	f.post(arena+"claim").is(t, http.StatusOK, "")
	if f.place().Score != signed.Score {
		t.Error("another place")
	}
	if !f.page("/").reachedSite() {
		t.Error("the pass does not hold")
	}
}

func TestQ5_WhenRedisLosesEverythingPlacesAreKeptAndPassHoldersGoOn(t *testing.T) {
	s := start(t, "admit 6000/s\nactive 1")
	inside := s.fan()
	inside.admitted()
	fans, lines := s.parked(5, s.fan)
	polling := s.fan()
	polling.joined()
	fans = append(fans, polling)
	var before []place.Token
	for _, f := range fans {
		before = append(before, f.place())
	}
	s.age()
	s.redis.Kill()
	s.until("the edge knows", func(v *room.View) bool { return v.Degraded })
	lines[0].next("message")

	begun := time.Now()
	for range 100 { // a pass costs no call
		if got := inside.page("/"); !got.reachedSite() {
			t.Fatalf("a pass-holder: %d %.100s", got.status, got.body)
		}
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("100 requests took %v", took)
	}
	during := s.fan()
	during.joined()
	fans, before = append(fans, during), append(before, during.place())
	if got := during.post(arena + "join"); got.status != http.StatusOK || during.place().Score != before[len(before)-1].Score {
		t.Errorf("joining again: %d %s", got.status, got.body)
	}
	got := inside.do(http.MethodPost, arena+"leave", nil) // nothing is promised that cannot be kept
	if got.status != http.StatusNoContent && got.Code != "unavailable" {
		t.Errorf("leaving: %d %s", got.status, got.body)
	}

	s.redis.Start()
	s.until("everybody is back", func(v *room.View) bool { return !v.Degraded && v.Waiting >= 6 })
	late := s.fan()
	late.joined()
	for i, f := range fans {
		if status := f.get(arena + "status"); status.status != http.StatusOK {
			t.Fatalf("fan %d: %d %s", i, status.status, status.body)
		}
		if after := f.place(); after.Score != before[i].Score || after.Visitor != before[i].Visitor || after.Generation == before[i].Generation && i >= 5 {
			t.Errorf("fan %d had %+v and has %+v", i, before[i], after)
		}
	}
	if late.place().Score <= before[len(before)-1].Score {
		t.Error("who came later is earlier")
	}
	s.until("all of them wait", func(v *room.View) bool { return v.Waiting == 8 })
	s.load(s.arena("admit 6000/s\nactive 1000"))
	for _, line := range lines {
		line.next("admitted")
	}
}

// A Redis that hangs is the same as one that is gone.
func TestARedisThatHangsHoldsNobodyUp(t *testing.T) {
	s := start(t, closed)
	f := s.fan()
	f.joined()
	s.redis.Pause()
	defer s.redis.Resume()
	for what, do := range map[string]func() reply{
		"page":   func() reply { return s.fan().page("/") },
		"join":   func() reply { return s.fan().post(arena + "join") },
		"status": func() reply { return f.get(arena + "status") },
		"board":  func() reply { return f.get(arena + "board") },
		"leave":  func() reply { return f.post(arena + "leave") },
	} {
		begun := time.Now()
		got := do()
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("%s took %v", what, took)
		}
		if what == "leave" {
			got.is(t, http.StatusServiceUnavailable, "unavailable")
			if got.header.Get("Retry-After") == "" {
				t.Error("it does not say when to come back")
			}
		} else if got.status != http.StatusOK && got.status != http.StatusCreated {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	s.redis.Resume()
	eventually.Holds(t, "leaving works again", func() bool { return f.post(arena+"leave").status == http.StatusNoContent })
}
