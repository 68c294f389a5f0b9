package mapfan

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

func TestAStreamBeginsWithTheMapAndItsCountsAndGoesOnWithChanges(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, 100)
	set(t, c, 7, mapframe.Held)
	w := watch(t, serve(t, c))
	w.until("the counts", func() bool { return w.counts != "" })
	if len(w.kinds) != 2 || w.kinds[0] != mapframe.KindSnapshot || w.state.State(7) != mapframe.Held {
		t.Fatalf("it began with %v", w.kinds)
	}
	set(t, c, 7, mapframe.Booked)
	w.sees(7, mapframe.Booked)
	if w.kinds[len(w.kinds)-1] != mapframe.KindDelta {
		t.Errorf("a change was sent as %v", w.kinds)
	}
}

func TestAStreamResumesFromAVersion(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, 100)
	set(t, c, 7, mapframe.Held)
	w := watch(t, serve(t, c)+"?from=1.0")
	if err := w.read(); err != nil || w.kinds[0] != mapframe.KindDelta {
		t.Errorf("got %v, %v", w.kinds, err)
	}
}

func TestWhatIsNoStreamIsRefused(t *testing.T) {
	t.Parallel()
	c := channel(t, 1, 100)
	address := serve(t, c)
	get := func(query string) *http.Response {
		reply, err := http.Get(address + query)
		if err != nil {
			t.Fatal(err)
		}
		_ = reply.Body.Close()
		return reply
	}
	if got := get("?from=x").StatusCode; got != http.StatusBadRequest {
		t.Errorf("a malformed version: %d", got)
	}
	if got := get("").StatusCode; got != http.StatusUpgradeRequired {
		t.Errorf("a plain request: %d", got)
	}
	conn, _, err := websocket.Dial(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("without the subprotocol: %v", err)
	}
	eventually.Holds(t, "refused ones take no room", func() bool { return c.Viewers() == 0 })

	watch(t, address)
	eventually.Holds(t, "it is full", func() bool { return c.Viewers() == 1 })
	if got := get(""); got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d, Retry-After %q", got.StatusCode, got.Header.Get("Retry-After"))
	}
}

func TestAConnectionThatTakesNothingInIsEndedAndToldWhy(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, mapframe.MaxCells)
	w := watch(t, serve(t, c))
	s := mapframe.Snapshot{At: mapframe.Version{Epoch: 1}, Cells: mapframe.MaxCells, Bits: make([]byte, mapframe.BitsLen(mapframe.MaxCells))}
	eventually.Holds(t, "it is dropped", func() bool { // its socket takes some megabytes first
		s.At.Ver++
		if err := c.Reset(s); err != nil {
			t.Fatal(err)
		}
		return c.Stats().Slow == 1
	})
	for {
		if err := w.read(); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusTryAgainLater {
				t.Errorf("it was told %v", err)
			}
			return
		}
	}
}

func TestAViewerWhoLeavesMakesRoom(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, 100)
	w := watch(t, serve(t, c))
	eventually.Holds(t, "it is here", func() bool { return c.Viewers() == 1 })
	_ = w.conn.CloseNow()
	eventually.Holds(t, "it is gone", func() bool { return c.Viewers() == 0 })
}

func TestClosingEndsEveryStream(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, 100)
	w := watch(t, serve(t, c))
	eventually.Holds(t, "it is here", func() bool { return c.Viewers() == 1 })
	c.Close()
	for {
		if err := w.read(); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("it was told %v", err)
			}
			return
		}
	}
}

// A quiet stream through a proxy that closes idle connections would be a
// reconnect a minute for every viewer.
func TestAQuietStreamIsPinged(t *testing.T) {
	t.Parallel()
	c, clk := channel(t, 10, 100), clock.NewFake(time.Unix(1000, 0))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.ServeLive(w, r, clk) }))
	t.Cleanup(func() { c.Close(); s.Close() })
	pinged := make(chan struct{}, 1)
	conn, _, err := websocket.Dial(t.Context(), s.URL, &websocket.DialOptions{
		Subprotocols: []string{mapframe.Subprotocol},
		OnPingReceived: func(context.Context, []byte) bool {
			select {
			case pinged <- struct{}{}:
			default:
			}
			return true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	go func() {
		for {
			if _, _, err := conn.Read(context.Background()); err != nil {
				return
			}
		}
	}()
	eventually.Holds(t, "a ping comes", func() bool {
		clk.Advance(pingEvery)
		select {
		case <-pinged:
			return true
		default:
			return false
		}
	})
}

func TestAvailabilityAndSummaryOverPlainHTTP(t *testing.T) {
	t.Parallel()
	c := channel(t, 10, 5)
	set(t, c, 4, mapframe.Booked)
	ask := func(method, etag string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/", nil)
		r.Header.Set("If-None-Match", etag)
		c.ServeAvailability(w, r)
		return w
	}
	got := ask(http.MethodGet, "")
	frame, err := mapframe.Decode(got.Body.Bytes())
	if err != nil || frame.Kind != mapframe.KindSnapshot || frame.Snapshot.Bits[1] != byte(mapframe.Booked) {
		t.Errorf("got %+v, %v", frame, err)
	}
	if h := got.Header(); h.Get("ETag") != `"1.1"` || h.Get("Cache-Control") != "public, max-age=0, s-maxage=1" || h.Get("Content-Type") != mapframe.ContentType {
		t.Errorf("headers %v", h)
	}
	if got := ask(http.MethodGet, `"1.1"`); got.Code != http.StatusNotModified || got.Body.Len() > 0 {
		t.Errorf("the version that the client has: %d, %d bytes", got.Code, got.Body.Len())
	}
	if got := ask(http.MethodHead, ""); got.Code != http.StatusOK || got.Body.Len() > 0 {
		t.Errorf("HEAD: %d, %d bytes", got.Code, got.Body.Len())
	}
	w := httptest.NewRecorder()
	c.ServeSummary(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Body.String() != `{"free":0}` || w.Header().Get("Cache-Control") != "public, max-age=0, s-maxage=1" {
		t.Errorf("the summary: %s %v", w.Body, w.Header())
	}
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request){"availability": New(1).ServeAvailability, "summary": New(1).ServeSummary} {
		w := httptest.NewRecorder()
		if serve(w, httptest.NewRequest(http.MethodGet, "/", nil)); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s without a map: %d", name, w.Code)
		}
	}
}
