package seatmap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/mapfan"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

// allocator is a small server that speaks what the real one speaks: one event, arena,
// of 1,000 cells, and its layout. It counts what is asked of it.
type allocator struct {
	*httptest.Server
	arena                   *mapfan.Channel
	hash                    string
	streams, layouts, other atomic.Int32
}

const layout = `{"name":"arena"}`

func newAllocator(t testing.TB) *allocator {
	t.Helper()
	sum := sha256.Sum256([]byte(layout))
	a := &allocator{arena: mapfan.New(100), hash: hex.EncodeToString(sum[:])}
	if err := a.arena.Reset(mapframe.Snapshot{At: mapframe.Version{Epoch: 1}, Cells: 1000, Bits: make([]byte, 250)}); err != nil {
		t.Fatal(err)
	}
	a.arena.SetCounts([]byte(`{"free":1000}`))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/events/arena/live", func(w http.ResponseWriter, r *http.Request) {
		a.streams.Add(1)
		a.arena.ServeLive(w, r, clock.System())
	})
	mux.HandleFunc("GET /v1/events/arena/layout@"+a.hash, func(w http.ResponseWriter, _ *http.Request) {
		a.layouts.Add(1)
		_, _ = io.WriteString(w, layout)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		a.other.Add(1)
		w.WriteHeader(http.StatusNotFound)
	})
	a.Server = httptest.NewServer(mux)
	t.Cleanup(func() { a.arena.Close(); a.Server.Close() })
	return a
}

// take changes a cell.
func (a *allocator) take(t testing.TB, cell int) {
	t.Helper()
	at, _ := a.arena.At()
	d := mapframe.Delta{Epoch: at.Epoch, From: at.Ver, To: at.Ver + 1, Changes: []mapframe.Change{{Ordinal: cell, State: mapframe.Held}}}
	if err := a.arena.Apply(d); err != nil {
		t.Fatal(err)
	}
}

// site is a real Caddy in this process.
type site struct {
	t   testing.TB
	url string
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t}
	caddytest.StopAfter(t)
	return s
}

// start runs a site with these directives before one that answers "the site".
func start(t testing.TB, directives string) *site {
	t.Helper()
	s := newSite(t)
	s.load(directives)
	return s
}

func config(directives string) string {
	return "{\nadmin off\npersist_config off\nauto_https off\ngrace_period 1s\nlog {\nlevel FATAL\n}\n}\n" +
		"http://:0 {\nbind 127.0.0.1\nencode\n" + directives + "\nhandle /api/* {\nrespond \"the allocator's proxy\"\n}\nrespond \"the site\"\n}\n"
}

// load runs another config; the site may get another address.
func (s *site) load(directives string) {
	s.t.Helper()
	caddytest.MustLoad(s.t, config(directives))
	s.url = caddytest.URL(s.t)
}

type reply struct{ caddytest.Answer }

func (s *site) ask(method, path string) reply {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := caddytest.Ask(http.DefaultClient, req)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{got}
}

func (s *site) get(path string) reply { s.t.Helper(); return s.ask(http.MethodGet, path) }

const arena = "/api/v1/events/arena/"

// watcher is a browser that watches the map of arena.
type watcher struct {
	t     testing.TB
	conn  *websocket.Conn
	state *mapframe.Map
}

func (s *site) watch() *watcher {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), s.url+arena+"live", &websocket.DialOptions{Subprotocols: []string{mapframe.Subprotocol}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return &watcher{t: s.t, conn: conn}
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
	switch {
	case err != nil:
	case frame.Kind == mapframe.KindSnapshot:
		w.state, err = mapframe.NewMap(frame.Snapshot)
	case frame.Kind == mapframe.KindDelta:
		err = w.state.Apply(frame.Delta)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return nil
}

func (w *watcher) sees(cell int) {
	w.t.Helper()
	for w.state == nil || w.state.State(cell) != mapframe.Held {
		if err := w.read(); err != nil {
			w.t.Fatalf("before cell %d was taken: %v", cell, err)
		}
	}
}

// metric is a figure of the seatmap in the running config's registry.
func (s *site) metric(name string) float64 {
	s.t.Helper()
	value, measured := caddytest.Metric(s.t, "tickets_seatmap_"+name, nil)
	if !measured {
		s.t.Fatalf("no figure %s", name)
	}
	return value
}

func (r reply) is(t testing.TB, status int, part string) {
	t.Helper()
	if r.Status != status || !strings.Contains(r.Body, part) {
		t.Errorf("%d %.200q, want %d and %q in it", r.Status, r.Body, status, part)
	}
}
