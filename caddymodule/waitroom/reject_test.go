package waitroom

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func TestARoomThatRejectsSaysSoAndTakesNoPlaces(t *testing.T) {
	s := start(t, alwaysOn+"\nactive 1\nmethod reject")
	inside, outside := s.fan(), s.fan()
	inside.in("/")
	page := outside.page("/seats")
	if page.status != http.StatusServiceUnavailable || !strings.Contains(page.body, "There is no room right now") {
		t.Fatalf("%d %.300s", page.status, page.body)
	}
	if n, err := strconv.Atoi(page.header.Get("Retry-After")); err != nil || n < 10 {
		t.Errorf("Retry-After: %q", page.header.Get("Retry-After"))
	}
	if !strings.Contains(page.body, `data-state="no-room"`) || !strings.Contains(page.body, `id="join" hidden`) || !strings.Contains(page.body, `<p id="retry"><a href="/seats">`) {
		t.Errorf("the page offers a place, or no way to try again: %s", page.body)
	}
	join := outside.post(arena + "join")
	join.is(t, http.StatusServiceUnavailable, "room-full")
	if join.header.Get("Retry-After") == "" || !strings.Contains(join.body, `"retryAfterMs"`) {
		t.Errorf("%v %s", join.header, join.body)
	}
	if got := outside.form(arena + "join?to=/x"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/x#room-full" {
		t.Errorf("without scripts: %d %v", got.status, got.header)
	}
	outside.get(arena+"status").is(t, http.StatusNotFound, "not-queued")
	outside.get("/seats").is(t, http.StatusUnauthorized, "pass-required") // a program's refusal is the same everywhere
	if v := s.room().View(); v.Waiting != 0 {
		t.Errorf("%d wait", v.Waiting)
	}

	inside.post(arena+"leave").is(t, http.StatusNoContent, "")
	if got := outside.in("/seats"); got.status != http.StatusOK {
		t.Errorf("when there is room: %d", got.status)
	}
	outside.post(arena+"leave").is(t, http.StatusNoContent, "")
	program := s.fan()
	var got reply
	eventually.Holds(t, "a program joins", func() bool { got = program.post(arena + "join"); return got.status == http.StatusOK })
	if got.State != "active" || !program.get("/api").reachedSite() {
		t.Errorf("%s", got.body)
	}
	if got := program.post(arena + "join"); got.status != http.StatusOK || got.State != "active" {
		t.Errorf("joining again: %d %s", got.status, got.body)
	}
	s.redis.Kill()
	s.until("the edge knows", func(v *room.View) bool { return v.Degraded })
	late := s.fan()
	if got := late.page("/"); got.status != http.StatusServiceUnavailable || got.reachedSite() {
		t.Errorf("without Redis: %d", got.status)
	}
	if got := late.post(arena + "join"); got.status != http.StatusServiceUnavailable || late.place().Placed() {
		t.Errorf("without Redis a place was given: %d %s", got.status, got.body)
	}
}

func TestARoomThatRejectsFollowsItsSchedule(t *testing.T) {
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	s := start(t, alwaysOn+"\nmethod reject\nopens "+at(time.Hour))
	f := s.fan()
	if page := f.page("/"); page.status != http.StatusOK || !strings.Contains(page.body, `"state":"scheduled"`) {
		t.Errorf("before: %d", page.status)
	}
	f.post(arena+"join").is(t, http.StatusForbidden, "not-open")
	s.load(s.arena(alwaysOn + "\nmethod reject\nopens " + at(-time.Minute)))
	f.in("/")
	s.load(s.arena(alwaysOn + "\nmethod reject\nopens " + at(-time.Hour) + "\ncloses " + at(-time.Minute)))
	s.fan().post(arena+"join").is(t, http.StatusGone, "closed")
	if page := s.fan().page("/"); page.reachedSite() || !strings.Contains(page.body, "The sale is over") {
		t.Errorf("after: %d", page.status)
	}
}

// Who waited before the method was changed still has the place.
func TestPlacesFromBeforeTheRoomRejectedAreGood(t *testing.T) {
	s := start(t, closed)
	f := s.fan()
	f.joined()
	s.load(s.arena("admit 1/h\nmethod reject"))
	if page := f.page("/"); page.status != http.StatusOK || !strings.Contains(page.body, `"state":"waiting"`) {
		t.Errorf("%d %.200s", page.status, page.body)
	}
	if got := f.post(arena + "join"); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	if page := s.fan().page("/"); page.status != http.StatusServiceUnavailable {
		t.Errorf("who is new: %d", page.status)
	}
	s.load(s.arena("admit 6000/s\nmethod reject"))
	eventually.Holds(t, "the turn comes", func() bool { return f.post(arena+"claim").status == http.StatusOK })
}

// The page is sent with the status that is set; programs are told the same whatever
// that is.
func TestThePageHasTheStatusThatIsSet(t *testing.T) {
	s := newSite(t)
	for _, method := range []string{"", "\nmethod reject"} {
		for _, status := range []int{0, http.StatusOK, http.StatusAccepted, http.StatusTooManyRequests, http.StatusServiceUnavailable} {
			block, want := closed+method, status
			if method != "" {
				block = "admit 1/h" + method
			}
			switch {
			case status != 0:
				block += "\nstatus " + strconv.Itoa(status)
			case method != "":
				want = http.StatusServiceUnavailable
			default:
				want = http.StatusOK
			}
			s.load(s.arena(block))
			f := s.fan()
			page := f.page("/seats")
			if page.status != want || page.header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("%q: %d", block, page.status)
			}
			n, err := strconv.Atoi(page.header.Get("Retry-After"))
			if asked := want != http.StatusOK || method != ""; asked != (err == nil && n > 0) {
				t.Errorf("%q: Retry-After %q", block, page.header.Get("Retry-After"))
			}
			got := f.get("/seats")
			got.is(t, http.StatusUnauthorized, "pass-required")
			if got.header.Get("Content-Type") != "application/problem+json" || got.State != "open" || !strings.Contains(got.body, `"join":"/.waitroom/arena/join"`) {
				t.Errorf("%q: %v %s", block, got.header, got.body)
			}
		}
	}
}
