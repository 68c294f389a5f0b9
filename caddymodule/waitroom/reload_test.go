package waitroom

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// parked joins some fans and opens their streams.
func (s *site) parked(n int, make func() *fan) (fans []*fan, lines []*stream) {
	s.t.Helper()
	for range n {
		f := make()
		f.joined()
		line := f.stream(nil)
		line.next("position")
		fans, lines = append(fans, f), append(lines, line)
	}
	return fans, lines
}

// within is the time in which a changed knob must act on fans who wait.
const within = time.Second

func TestAReloadedRateActsWithinASecondOnWaitingFansAndDropsNone(t *testing.T) {
	s := start(t, closed)
	fans, lines := s.parked(20, s.fan)
	_, overH2 := s.parked(5, s.fanOverH2)
	joins := s.metric("requests_total", map[string]string{"action": "join", "outcome": "fresh"})
	s.load(s.arena(open))
	loaded := time.Now()
	for i, line := range append(lines, overH2...) {
		line.next("admitted") // which fails if the stream ended before
		if took := time.Since(loaded); took > within {
			t.Errorf("fan %d heard after %v", i, took)
		}
	}
	for i, f := range fans {
		if got := f.post(arena + "claim"); got.status != http.StatusOK {
			t.Errorf("fan %d: %d %s", i, got.status, got.body)
		}
	}
	if !fans[0].page("/").reachedSite() {
		t.Error("a pass does not hold after the reload")
	}
	if got := s.metric("requests_total", map[string]string{"action": "join", "outcome": "fresh"}); got != joins {
		t.Errorf("the count of joins went from %v to %v", joins, got)
	}
	if got := s.metric("admitted_total", nil); got != 25 {
		t.Errorf("admitted %v", got)
	}
}

// The cap is a knob like the rate, and so is the life of what is given later.
func TestEveryKnobIsTurnedByAReload(t *testing.T) {
	s := start(t, "admit 6000/s\nactive 1")
	inside := s.fan()
	inside.admitted()
	_, lines := s.parked(2, s.fan)
	s.load(s.arena("admit 6000/s\nactive 2\nsession 1h"))
	lines[0].next("admitted")
	s.until("the second one still waits", func(v *room.View) bool {
		return v.Settings.Active == 2 && v.Settings.Session == time.Hour && v.Waiting == 1
	})
	s.load(s.arena("admit 6000/s\nactive 3"))
	lines[1].next("admitted")
}

func TestAReloadWithTheSameRoomKeepsItsSettings(t *testing.T) {
	s := start(t, closed)
	for _, block := range []string{open, open, open} { // whoever stops last must not bring back what it replaced
		s.load(s.arena(block))
		if got := s.room().Config().Queue; got.Rate != 6000 || got.Per != time.Second {
			t.Fatalf("in force: %d per %v", got.Rate, got.Per)
		}
	}
}

func TestAFailedReloadChangesNothing(t *testing.T) {
	s := start(t, closed)
	_, lines := s.parked(5, s.fan)
	before := s.room().View().Settings
	taken, err := net.Listen("tcp", "127.0.0.1:0") // without SO_REUSEPORT: Caddy cannot listen there
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	good := s.arena(open)
	other := "http://:0/x {\nwaitroom arena {\nadmit 7/s\n}\n}\n"
	for name, bad := range map[string]string{
		"a typo":              strings.Replace(good, "admit", "amdit", 1),
		"a rate of nothing":   strings.Replace(good, "6000/s", "0/s", 1),
		"set twice":           good + other,
		"no settings":         s.caddyfile("waitroom arena"),
		"no Redis":            strings.Replace(good, "redis unix", "redis gopher", 1),
		"keys out of reach":   strings.Replace(good, "keys "+s.keys, "keys /proc/nowhere", 1),
		"an address in use":   strings.Replace(good, "http://:0", "http://:"+port(taken), 1),
		"an address, again":   strings.Replace(good, "http://:0", "http://:"+port(taken), 1), // apps start in any order
		"an address, thirdly": strings.Replace(good, "http://:0", "http://:"+port(taken), 1),
	} {
		err := caddytest.Load(bad)
		if err == nil {
			t.Fatalf("%s: it loads", name)
		}
		if got := s.room().Config().Queue; got.Rate != 1 || got.Per != time.Hour {
			t.Errorf("%s: now %d per %v", name, got.Rate, got.Per)
		}
	}
	f := s.fan()
	f.joined()
	ticks := s.room().View().Now
	s.until("the room goes on", func(v *room.View) bool { return v.Now.Sub(ticks) > 2*room.DefaultTick && v.Waiting == 6 })
	if got := s.room().View(); got.Settings != before || got.AdmittedTotal > 0 {
		t.Errorf("before %+v, now %+v, admitted %d", before, got.Settings, got.AdmittedTotal)
	}
	s.load(good)
	for _, line := range lines {
		line.next("admitted") // nobody was dropped
	}
}

func port(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// A stream that began under an older config ends as any other, and its handler
// finds all that it needs.
func TestAStreamOutlivesTheConfigItBeganUnder(t *testing.T) {
	s := start(t, closed)
	_, lines := s.parked(1, s.fanOverH2)
	for range 3 {
		s.load(s.arena(closed))
	}
	s.load(s.arena(open))
	lines[0].next("admitted")
	lines[0].ends()
	eventually.Holds(t, "the stream is counted", func() bool {
		return s.metric("requests_total", map[string]string{"action": "stream", "outcome": "done"}) == 1
	})
}

// A room that no config has any more asks its fans to come back, at times that
// are spread.
func TestARoomThatIsTakenAwaySaysGoodbye(t *testing.T) {
	s := start(t, closed)
	_, lines := s.parked(3, s.fan)
	s.load(s.caddyfile("waitroom club {\n" + open + "\n}"))
	for _, line := range lines {
		if e := line.next(""); e.retry == "" {
			t.Errorf("the last line is %+v", e)
		}
		line.ends()
	}
}
