package mapfan

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// channel is one with a map of free cells at 1.0 and counts.
func channel(t testing.TB, viewers, cells int) *Channel {
	t.Helper()
	c := New(viewers)
	if err := c.Reset(mapframe.Snapshot{At: mapframe.Version{Epoch: 1}, Cells: cells, Bits: make([]byte, mapframe.BitsLen(cells))}); err != nil {
		t.Fatal(err)
	}
	c.SetCounts([]byte(`{"free":0}`))
	return c
}

// set changes one cell, as the next version.
func set(t testing.TB, c *Channel, cell int, state mapframe.State) {
	t.Helper()
	at, ok := c.At()
	if !ok {
		t.Fatal("there is no map")
	}
	d := mapframe.Delta{Epoch: at.Epoch, From: at.Ver, To: at.Ver + 1, Changes: []mapframe.Change{{Ordinal: cell, State: state}}}
	if err := c.Apply(d); err != nil {
		t.Fatal(err)
	}
}

// allocator is a small allocator: it shows maps, and counts what is asked of it.
type allocator struct {
	*httptest.Server
	address string

	mu      sync.Mutex
	maps    map[string]*Channel // guarded by mu; by event
	live    []string            // guarded by mu; event and query of each stream asked for
	layouts map[string][]byte   // guarded by mu; by hash
	loads   int                 // guarded by mu; layouts asked for
	gate    chan struct{}       // if set, layouts wait for it
	stream  http.HandlerFunc    // guarded by mu; instead of the maps, if set
}

func newAllocator(t testing.TB, events map[string]*Channel) *allocator {
	t.Helper()
	a := &allocator{maps: events, layouts: make(map[string][]byte)}
	a.start(t)
	a.address = a.Listener.Addr().String()
	t.Cleanup(func() { a.stop() })
	return a
}

// start serves at the address it had before, if there was one.
func (a *allocator) start(t testing.TB) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/events/{event}/live", a.serveLive)
	mux.HandleFunc("GET /v1/events/{event}/{document}", a.serveLayout)
	a.Server = httptest.NewUnstartedServer(mux)
	if a.address != "" {
		_ = a.Listener.Close()
		eventually.Holds(t, "the address is free again", func() bool {
			l, err := net.Listen("tcp", a.address)
			a.Listener = l
			return err == nil
		})
	}
	a.Start()
}

// stop ends the server and the connections that it has forgotten, as they are hijacked.
func (a *allocator) stop() {
	a.mu.Lock()
	for _, c := range a.maps {
		c.Close()
	}
	a.mu.Unlock()
	a.Server.CloseClientConnections()
	a.Server.Close()
}

// restart stops the server and serves maps that are taken over as they are now.
func (a *allocator) restart(t testing.TB, events map[string]*Channel) {
	t.Helper()
	a.mu.Lock()
	a.maps = events
	a.mu.Unlock()
	a.start(t)
}

func (a *allocator) serveLive(w http.ResponseWriter, r *http.Request) {
	event := r.PathValue("event")
	a.mu.Lock()
	a.live = append(a.live, event+" "+r.URL.RawQuery)
	c, stream := a.maps[event], a.stream
	a.mu.Unlock()
	switch {
	case stream != nil:
		stream(w, r)
	case c == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		c.ServeLive(w, r, clock.System())
	}
}

func (a *allocator) serveLayout(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.loads++
	body, known := a.layouts[strings.TrimPrefix(r.PathValue("document"), "layout@")]
	gate := a.gate
	a.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if !known {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write(body)
}

// streams are the streams that were asked for: event and query.
func (a *allocator) streams() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.live...)
}

// follow follows an allocator.
func follow(t testing.TB, a *allocator, limits Limits, clk clock.Clock) *Followers {
	t.Helper()
	f := Follow(a.URL+"/", limits, clk, slog.New(slog.DiscardHandler))
	t.Cleanup(f.Close)
	return f
}

// serve shows a channel over HTTP and returns the address of its stream.
func serve(t testing.TB, c *Channel) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.ServeLive(w, r, clock.System()) }))
	t.Cleanup(func() { c.Close(); s.Close() })
	return s.URL
}

// watcher is a client of a stream that keeps its map.
type watcher struct {
	t      testing.TB
	conn   *websocket.Conn
	kinds  []mapframe.Kind // of the frames so far
	state  *mapframe.Map
	counts string
}

func watch(t testing.TB, address string) *watcher {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{Subprotocols: []string{mapframe.Subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(mapframe.MaxFrame)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &watcher{t: t, conn: conn}
}

// read takes one frame in; the error is that of the connection.
func (w *watcher) read() error {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), eventually.Patience)
	defer cancel()
	_, raw, err := w.conn.Read(ctx)
	if err != nil {
		return err
	}
	frame, err := mapframe.Decode(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	w.kinds = append(w.kinds, frame.Kind)
	switch frame.Kind {
	case mapframe.KindSnapshot:
		w.state, err = mapframe.NewMap(frame.Snapshot)
	case mapframe.KindDelta:
		if w.state == nil { // resumed: the map it had
			break
		}
		err = w.state.Apply(frame.Delta)
	case mapframe.KindCounts:
		w.counts = string(frame.Counts)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return nil
}

// until reads on until the map is as wished.
func (w *watcher) until(what string, holds func() bool) {
	w.t.Helper()
	for !holds() {
		if err := w.read(); err != nil {
			w.t.Fatalf("before %s: %v", what, err)
		}
	}
}

func (w *watcher) sees(cell int, state mapframe.State) {
	w.t.Helper()
	w.until("the cell has changed", func() bool { return w.state != nil && w.state.State(cell) == state })
}
