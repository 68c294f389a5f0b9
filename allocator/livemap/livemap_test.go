package livemap

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/lockstest"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

func TestEveryViewerSeesWhatBecomesOfASeat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	viewers := make([]*watcher, 5)
	for i := range viewers {
		viewers[i] = w.watch("")
	}
	all := func(seat int, state mapframe.State) {
		t.Helper()
		for _, v := range viewers {
			w.until(fmt.Sprintf("seat %d is %d for everybody", seat, state), func() bool { return v.sees(seat) == state })
		}
		if got := w.state(seat); got != state {
			t.Errorf("the availability shows seat %d as %d, want %d", seat, got, state)
		}
	}
	w.hold("h1", 3, 4)
	all(3, mapframe.Held)
	all(4, mapframe.Held)
	if err := w.locks.Release(t.Context(), w.hall.Event, "h1", "holder-h1"); err != nil {
		t.Fatal(err)
	}
	all(4, mapframe.Free)
	w.hold("h2", 4)
	if err := w.locks.Book(t.Context(), w.hall.Event, "h2", lockstest.Seats(4)); err != nil {
		t.Fatal(err)
	}
	all(4, mapframe.Booked)
	all(20, mapframe.Blocked) // the seat that is not for sale
	for _, v := range viewers {
		if n := v.frames(mapframe.KindSnapshot); n != 1 {
			t.Errorf("a viewer was sent the whole map %d times", n)
		}
	}
}

// What viewers ask reaches neither server: a thousand times the viewers is the same
// load on both.
func TestViewersCostNeitherServerAnything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.get(w.hall.Slug + "/summary") // followed from here on
	eventually.Holds(t, "the first tick is over", func() bool { return w.asked.Load() == 2 })
	before := w.catalog.asked
	for range 10 {
		v := w.watch("")
		eventually.Holds(t, "it has the map", func() bool { return v.sees(0) == mapframe.Free })
		for range 10 {
			for _, path := range []string{"/availability", "/summary"} {
				if got := w.get(w.hall.Slug + path); got.status != http.StatusOK || got.header.Get("Cache-Control") != "public, max-age=0, s-maxage=1" {
					t.Fatalf("%s: %d %v", path, got.status, got.header)
				}
			}
		}
	}
	if got := w.asked.Load(); got != 2 {
		t.Errorf("Redis was asked %d times", got-2)
	}
	if w.catalog.asked != before {
		t.Errorf("the store was asked %d times", w.catalog.asked-before)
	}
	if got := w.maps.Viewers(); got != 10 {
		t.Errorf("%d viewers are counted", got)
	}
}

func TestChangesOfOneTickAreOneFrame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.watch("")
	eventually.Holds(t, "it has the map and counts", func() bool { return v.frames(mapframe.KindCounts) == 1 })
	for i := range 10 {
		w.hold(fmt.Sprint("h", i), i)
	}
	w.until("all are held", func() bool { return v.sees(9) == mapframe.Held })
	if n := v.frames(mapframe.KindDelta); n != 1 {
		t.Errorf("ten holds between two ticks came in %d frames", n)
	}
}

func TestASummaryTellsTheFourStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.summary()
	if s.State != StateAvailable || s.Free != 30 || s.Capacity != 30 || s.NextReleaseAt != nil || s.Currency != "EUR" {
		t.Errorf("at first: %+v", s)
	}
	want := []CategorySummary{{"Red", 9000, 10, 10, 0}, {"Blue", 5000, 10, 10, 0}, {"Standing", 3000, 10, 10, 0}, {"Unused", 1, 0, 0, 0}}
	if fmt.Sprint(s.Categories) != fmt.Sprint(want) {
		t.Errorf("categories %v, want %v", s.Categories, want)
	}
	v := w.watch("")
	for i := range 5 {
		w.hold(fmt.Sprint("h", i), 4*i, 4*i+1, 4*i+2, 4*i+3)
	}
	for i := range 2 {
		if _, err := w.locks.Hold(t.Context(), w.hall.WantStanding(fmt.Sprint("s", i), fmt.Sprint("standing-", i), 5)); err != nil {
			t.Fatal(err)
		}
	}
	w.until("everything is held", func() bool { return w.summary().State == StateAllHeld })
	if s = w.summary(); s.Held != 30 || s.NextReleaseAt == nil || s.NextReleaseAt.Nanosecond() != 0 || time.Until(*s.NextReleaseAt) > time.Minute {
		t.Errorf("all held: %+v", s)
	}
	eventually.Holds(t, "viewers are told", func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.counts.State == StateAllHeld
	})
	for i := range 5 {
		if err := w.locks.Book(t.Context(), w.hall.Event, fmt.Sprint("h", i), lockstest.Seats(4*i, 4*i+1, 4*i+2, 4*i+3)); err != nil {
			t.Fatal(err)
		}
	}
	var places []string
	for i := range 10 {
		places = append(places, fmt.Sprintf("S-%05d", i))
	}
	if err := w.locks.Book(t.Context(), w.hall.Event, "s0", places); err != nil {
		t.Fatal(err)
	}
	w.until("it is sold out", func() bool { return w.summary().State == StateSoldOut })
	if s = w.summary(); s.Booked != 30 || s.NextReleaseAt != nil {
		t.Errorf("sold out: %+v", s)
	}
	w.catalog.change(func(c *catalog) { c.event.Phase = allocator.PhaseClosed })
	w.until("the sale is closed", func() bool { return w.summary().State == StateNotOpen })
	if got, err := w.maps.Summary(t.Context(), w.hall.Slug); err != nil || got.State != StateNotOpen {
		t.Errorf("inside the process: %+v, %v", got, err)
	}
}

func TestAViewerResumesWhereItLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.watch("")
	eventually.Holds(t, "it has the map", func() bool { return first.sees(0) == mapframe.Free })
	first.mu.Lock()
	at := first.state.At()
	first.mu.Unlock()
	w.hold("h1", 7)
	w.until("the change is known", func() bool { return first.sees(7) == mapframe.Held })
	second := w.watch("?from=" + at.String())
	eventually.Holds(t, "it is up to date", func() bool { return second.frames(mapframe.KindDelta) == 1 })
	if second.frames(mapframe.KindSnapshot) != 0 {
		t.Error("it was sent the whole map")
	}
}

func TestAMapThatRedisLostComesBackFromTheDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hold("h1", 5)
	v := w.watch("")
	w.until("the hold is seen", func() bool { return v.sees(5) == mapframe.Held })
	if err := w.redis.Client().FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	// The hold is gone with Redis; seat 0 is booked in the database.
	w.until("the map is the database's", func() bool { return v.sees(0) == mapframe.Booked && v.sees(5) == mapframe.Free })
	w.hold("h2", 6)
	w.until("it goes on", func() bool { return v.sees(6) == mapframe.Held })
	if got := w.rebuilds.Load(); got != 1 {
		t.Errorf("it was rebuilt %d times", got)
	}
}

func TestWhileRedisIsAwayTheMapStaysAndOneLineSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hold("h1", 5)
	v := w.watch("")
	w.until("the hold is seen", func() bool { return v.sees(5) == mapframe.Held })
	w.redis.Kill()
	w.until("it is noticed", func() bool { return w.log.count("live map is not refreshed") == 1 })
	tries := w.asked.Load()
	w.until("it is tried again and again", func() bool { return w.asked.Load() > tries+5 })
	for range 20 {
		if got := w.state(5); got != mapframe.Held {
			t.Fatalf("the map shows the seat as %d", got)
		}
	}
	w.redis.Start()
	w.until("the map is current again", func() bool { return w.log.count("current again") == 1 && v.sees(0) == mapframe.Booked })
	if got := w.log.count("live map is not refreshed"); got != 1 {
		t.Errorf("it was said %d times", got)
	}
}

func TestWithoutAMapThereIsATrueAnswerAndNoWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.redis.Kill()
	for _, path := range []string{"/availability", "/summary", "/live"} {
		got := w.get(w.hall.Slug + path)
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(string(got.body), "map-unavailable") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	w.redis.Start()
	w.until("it comes by itself", func() bool { return w.get(w.hall.Slug+"/summary").status == http.StatusOK })
}

func TestTheStoreBeingAwayStopsNoMap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.watch("")
	eventually.Holds(t, "it has the map", func() bool { return v.sees(5) == mapframe.Free })
	w.catalog.change(func(c *catalog) { c.err = allocator.ErrUnavailable })
	w.until("it is noticed", func() bool { return w.log.count("live map is not refreshed") == 1 })
	w.hold("h1", 5)
	w.until("the map goes on", func() bool { return v.sees(5) == mapframe.Held })
}

func TestUnknownEventsCostNoMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 20 {
		for _, path := range []string{"availability", "summary", "live", "layout@" + w.hall.LayoutHash} {
			if got := w.get(fmt.Sprintf("none-%d/%s", i, path)); got.status != http.StatusNotFound || !strings.Contains(string(got.body), "event-unknown") {
				t.Fatalf("%s: %d %s", path, got.status, got.body)
			}
		}
	}
	w.maps.mu.Lock()
	defer w.maps.mu.Unlock()
	if n := len(w.maps.feeds); n != 0 {
		t.Errorf("%d feeds are kept", n)
	}
}

func TestAnEventNobodyAsksAboutIsNotFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.watch("")
	following := func() bool {
		w.maps.mu.Lock()
		defer w.maps.mu.Unlock()
		return len(w.maps.feeds) > 0
	}
	eventually.Holds(t, "it has the map", func() bool { return v.sees(0) == mapframe.Free })
	asked := w.asked.Load()
	w.clock.Advance(2 * defaultIdle)
	eventually.Holds(t, "it went on", func() bool { return w.asked.Load() > asked })
	if !following() {
		t.Fatal("a map that somebody watches was let go")
	}
	_ = v.conn.CloseNow()
	w.until("it is let go", func() bool {
		w.clock.Advance(defaultIdle)
		return !following()
	})
	if s := w.summary(); s.Free != 30 {
		t.Errorf("asked again: %+v", s)
	}
}

func TestALayoutIsReadFromTheStoreOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 5 {
		if got := w.get(w.hall.Slug + "/layout@" + w.hall.LayoutHash); string(got.body) != layout || !strings.Contains(got.header.Get("Cache-Control"), "immutable") {
			t.Fatalf("got %d %s %v", got.status, got.body, got.header)
		}
	}
	if w.catalog.read != 1 {
		t.Errorf("it was read %d times", w.catalog.read)
	}
	for _, path := range []string{"/layout@" + strings.Repeat("0", 64), "/layout@x", "/layout@", "/nothing"} {
		if got := w.get(w.hall.Slug + path); got.status != http.StatusNotFound || !strings.Contains(string(got.body), "not-found") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if w.catalog.read != 1 {
		t.Error("made-up hashes reach the store")
	}
}

func TestMoreViewersThanTheCapAreToldToPoll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		w.watch("")
	}
	got := w.get(w.hall.Slug + "/live")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(string(got.body), "too-many-viewers") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := w.get(w.hall.Slug + "/availability"); got.status != http.StatusOK {
		t.Errorf("and polling answers %d", got.status)
	}
}

func TestCloseEndsEveryStreamAndTakesNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.watch("")
	eventually.Holds(t, "it has the map", func() bool { return v.sees(0) == mapframe.Free })
	ctx, cancel := context.WithTimeout(t.Context(), eventually.Patience)
	defer cancel()
	if err := w.maps.Close(ctx); err != nil {
		t.Fatal(err)
	}
	<-v.done
	if websocket.CloseStatus(v.err) != websocket.StatusGoingAway {
		t.Errorf("a viewer was told %v", v.err)
	}
	if got := w.get(w.hall.Slug + "/summary"); got.status != http.StatusServiceUnavailable {
		t.Errorf("afterwards: %d", got.status)
	}
}
