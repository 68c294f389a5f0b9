package seatmap

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

func TestAllViewersOfAnEdgeCostTheAllocatorOneConnection(t *testing.T) {
	a := newAllocator(t)
	s := start(t, "seatmap "+a.URL)
	watchers := make([]*watcher, 20)
	for i := range watchers {
		watchers[i] = s.watch()
		s.get(arena+"availability").is(t, http.StatusOK, "")
		s.get(arena+"summary").is(t, http.StatusOK, `{"free":1000}`)
	}
	a.take(t, 42)
	for _, w := range watchers {
		w.sees(42)
	}
	if a.streams.Load() != 1 || a.arena.Viewers() != 1 || a.other.Load() != 0 {
		t.Errorf("the allocator was asked for %d streams and %d other things", a.streams.Load(), a.other.Load())
	}
	for name, want := range map[string]float64{"viewers": 20, "events": 1, "connections": 1, "reconnects_total": 0, "refused_viewers_total": 0, "slow_viewers_total": 0} {
		if got := s.metric(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestOnlyTheMapIsAnsweredHere(t *testing.T) {
	a := newAllocator(t)
	s := start(t, "seatmap "+a.URL)
	for _, path := range []string{"/api/v1/events/arena", arena, arena + "holds", arena + "live/x", "/api/v1/holds/h", "/api/v1/events/ARENA/summary", "/api/v1/events/a%20b/summary"} {
		s.get(path).is(t, http.StatusOK, "the allocator's proxy")
	}
	for _, path := range []string{"/", "/v1/events/arena/summary", "/events/arena/live"} {
		s.get(path).is(t, http.StatusOK, "the site")
	}
	s.ask(http.MethodPost, arena+"summary").is(t, http.StatusOK, "the allocator's proxy")
	s.get("/api/v1/events/other/summary").is(t, http.StatusNotFound, `"code":"event-unknown"`)
	s.get(arena+"layout@0123").is(t, http.StatusNotFound, `"code":"not-found"`)
	s.get(arena+"live?from=x").is(t, http.StatusBadRequest, `"code":"version-malformed"`)
}

func TestOtherEventsThanThoseNamedNeverLeaveTheEdge(t *testing.T) {
	a := newAllocator(t)
	s := start(t, "seatmap "+a.URL+" hall arena")
	s.get(arena+"summary").is(t, http.StatusOK, `"free"`)
	s.get("/api/v1/events/other/summary").is(t, http.StatusOK, "the allocator's proxy")
	if got := a.other.Load(); got != 0 {
		t.Errorf("the allocator was asked %d times", got)
	}
}

func TestALayoutIsKeptAtTheEdge(t *testing.T) {
	a := newAllocator(t)
	s := start(t, "seatmap "+a.URL)
	for range 10 {
		got := s.get(arena + "layout@" + a.hash) // Go's client takes gzip and undoes it
		if got.Body != layout || !strings.Contains(got.Header.Get("Cache-Control"), "immutable") {
			t.Fatalf("got %q, %v", got.Body, got.Header)
		}
	}
	if got := a.layouts.Load(); got != 1 {
		t.Errorf("the allocator was asked %d times", got)
	}
}

func TestAReloadPartsNobodyFromTheMap(t *testing.T) {
	a := newAllocator(t)
	s := start(t, "seatmap "+a.URL)
	w := s.watch()
	a.take(t, 1)
	w.sees(1)
	for range 3 {
		s.load("seatmap " + a.URL + "/ arena\nheader X-Changed yes")
	}
	a.take(t, 2)
	w.sees(2)
	if got := a.streams.Load(); got != 1 {
		t.Errorf("the allocator was asked for %d streams", got)
	}
	if got := s.metric("viewers"); got != 1 {
		t.Errorf("the new config counts %v viewers", got)
	}
	if got := s.get(arena + "summary").Header.Get("X-Changed"); got != "yes" {
		t.Error("the new config does not serve")
	}
}

func TestStreamsEndWithTheLastConfigThatHasThem(t *testing.T) {
	a := newAllocator(t)
	s := start(t, "seatmap "+a.URL)
	w := s.watch()
	a.take(t, 1)
	w.sees(1)
	s.load("header X-Changed yes")
	for {
		if err := w.read(); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("it was told %v", err)
			}
			break
		}
	}
	eventually.Holds(t, "the allocator is rid of this edge", func() bool { return a.arena.Viewers() == 0 })
}

func TestAnAllocatorThatIsNotThereYetIsWaitedFor(t *testing.T) {
	a := newAllocator(t)
	a.arena.Close() // no map to show
	gone := a.URL
	a.Server.Close()
	s := start(t, "seatmap "+gone)
	got := s.get(arena + "availability")
	got.is(t, http.StatusServiceUnavailable, `"code":"map-unavailable"`)
	if got.Header.Get("Retry-After") == "" {
		t.Error("clients are not told when to come again")
	}
	s.get(arena+"layout@"+a.hash).is(t, http.StatusServiceUnavailable, `"code":"map-unavailable"`)
	s.get("/").is(t, http.StatusOK, "the site")
}

func TestTheAvailabilityHasTheMapsVersion(t *testing.T) {
	a := newAllocator(t)
	s := start(t, "seatmap "+a.URL)
	a.take(t, 3)
	var got reply
	eventually.Holds(t, "the change is here", func() bool {
		got = s.get(arena + "availability")
		return got.Header.Get("ETag") == `"1.1"`
	})
	frame, err := mapframe.Decode([]byte(got.Body))
	if err != nil || frame.Snapshot.Cells != 1000 || frame.Snapshot.Bits[0] != byte(mapframe.Held)<<6 {
		t.Errorf("got %v, %v", frame.Kind, err)
	}
	if c := got.Header.Get("Cache-Control"); c != "public, max-age=0, s-maxage=1" {
		t.Errorf("caches are told %q", c)
	}
}
