package livemap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/lockstest"
	"github.com/caddy-tickets/caddy-tickets/allocator/redislock"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a hall of 20 seats and 10 standing places whose locks are in a real
// Redis, its maps, and a server that shows them.
type world struct {
	t     testing.TB
	redis *devstack.RedisServer
	locks *redislock.Locks
	hall  lockstest.Hall
	clock *clock.Fake
	maps  *Maps
	url   string
	log   *journal

	asked    atomic.Int64 // questions to Redis
	catalog  *catalog
	rebuilds atomic.Int64
}

const layout = `{"name":"hall"}`

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, redis: devstack.Redis(t), clock: clock.NewFake(time.Now()), log: new(journal)}
	w.locks = redislock.New(w.redis.Client())
	w.hall = lockstest.NewHall(t, w.locks, 20, 10)
	sum := sha256.Sum256([]byte(layout))
	w.hall.LayoutHash, w.hall.ID = hex.EncodeToString(sum[:]), 7
	w.catalog = &catalog{event: *w.hall.Event}
	w.maps = New(Deps{
		Source: counted{w.locks, &w.asked}, Catalog: w.catalog, Clock: w.clock, Rebuild: w.rebuild,
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}, Settings{Viewers: 20})
	mux := http.NewServeMux()
	w.maps.Mount(mux, "/v1")
	s := httptest.NewServer(mux)
	w.url = s.URL + "/v1/events/"
	t.Cleanup(func() {
		if err := w.maps.Close(context.Background()); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return w
}

// rebuild does what the sale does: a new epoch, and the locks as the database has them.
func (w *world) rebuild(ctx context.Context, _ *allocator.Event) error {
	w.rebuilds.Add(1)
	e := w.catalog.bump()
	return w.locks.Rebuild(ctx, &e, w.hall.Cells, []allocator.Taken{{Cell: lockstest.Seat(0), HoldID: "h", Booked: true}})
}

func (w *world) hold(id string, seats ...int) {
	w.t.Helper()
	if _, err := w.locks.Hold(w.t.Context(), w.hall.Want(id, "holder-"+id, seats...)); err != nil {
		w.t.Fatal(err)
	}
}

// until moves the time on until something holds.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	eventually.Holds(w.t, what, func() bool {
		w.clock.Advance(defaultTick)
		return holds()
	})
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

func (w *world) get(path string) reply {
	w.t.Helper()
	resp, err := http.Get(w.url + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, body}
}

// state is what the availability shows for a seat.
func (w *world) state(seat int) mapframe.State {
	w.t.Helper()
	got := w.get(w.hall.Slug + "/availability")
	frame, err := mapframe.Decode(got.body)
	if err != nil {
		return mapframe.Blocked
	}
	m, err := mapframe.NewMap(frame.Snapshot)
	if err != nil {
		w.t.Fatal(err)
	}
	return m.State(seat)
}

func (w *world) summary() (s Summary) {
	w.t.Helper()
	if err := json.Unmarshal(w.get(w.hall.Slug+"/summary").body, &s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// watcher is a client that keeps its map; it reads all the time.
type watcher struct {
	conn *websocket.Conn
	done chan struct{} // closed at the end of the stream

	mu     sync.Mutex
	kinds  []mapframe.Kind // guarded by mu
	state  *mapframe.Map   // guarded by mu
	counts Summary         // guarded by mu
	err    error           // guarded by mu; how it ended
}

func (w *world) watch(query string) *watcher {
	w.t.Helper()
	conn, _, err := websocket.Dial(w.t.Context(), w.url+w.hall.Slug+"/live"+query, &websocket.DialOptions{Subprotocols: []string{mapframe.Subprotocol}})
	if err != nil {
		w.t.Fatal(err)
	}
	v := &watcher{conn: conn, done: make(chan struct{})}
	go v.run()
	w.t.Cleanup(func() {
		_ = conn.CloseNow()
		<-v.done
	})
	return v
}

func (v *watcher) run() {
	defer close(v.done)
	for {
		_, raw, err := v.conn.Read(context.Background())
		if err == nil {
			err = v.take(raw)
		}
		if err != nil {
			v.mu.Lock()
			v.err = err
			v.mu.Unlock()
			return
		}
	}
}

func (v *watcher) take(raw []byte) error {
	frame, err := mapframe.Decode(raw)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kinds = append(v.kinds, frame.Kind)
	switch {
	case frame.Kind == mapframe.KindSnapshot:
		v.state, err = mapframe.NewMap(frame.Snapshot)
	case frame.Kind == mapframe.KindCounts:
		err = json.Unmarshal(frame.Counts, &v.counts)
	case v.state != nil:
		err = v.state.Apply(frame.Delta)
	}
	return err
}

func (v *watcher) sees(seat int) mapframe.State {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.state == nil {
		return mapframe.Blocked
	}
	return v.state.State(seat)
}

func (v *watcher) frames(kind mapframe.Kind) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, k := range v.kinds {
		if k == kind {
			n++
		}
	}
	return n
}

// catalog knows one event.
type catalog struct {
	mu    sync.Mutex
	event allocator.Event // guarded by mu
	asked int             // guarded by mu; all questions
	read  int             // guarded by mu; layouts
	err   error           // guarded by mu; if the database is away
}

func (c *catalog) Event(_ context.Context, slug string) (*allocator.Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.err != nil {
		return nil, c.err
	}
	if slug != c.event.Slug {
		return nil, allocator.ErrEventUnknown
	}
	e := c.event
	return &e, nil
}

func (c *catalog) Categories(context.Context, int64) ([]allocator.Category, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.err != nil {
		return nil, c.err
	}
	return []allocator.Category{{Name: "Red", Price: 9000}, {Name: "Blue", Price: 5000}, {Name: "Standing", Price: 3000}, {Name: "Unused", Price: 1}}, nil
}

func (c *catalog) Layout(_ context.Context, id int64, hash string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read++
	if id != c.event.ID || hash != c.event.LayoutHash {
		return nil, errors.New("there is no such layout")
	}
	return []byte(layout), nil
}

func (c *catalog) bump() allocator.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.event.Epoch++
	return c.event
}

func (c *catalog) change(act func(*catalog)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	act(c)
}

// counted counts the questions to a source.
type counted struct {
	Source
	asked *atomic.Int64
}

func (c counted) Map(ctx context.Context, e *allocator.Event) (mapframe.Snapshot, error) {
	c.asked.Add(1)
	return c.Source.Map(ctx, e)
}

func (c counted) Changes(ctx context.Context, e *allocator.Event, after mapframe.Version) ([]mapframe.Delta, error) {
	c.asked.Add(1)
	return c.Source.Changes(ctx, e, after)
}

func (c counted) Counts(ctx context.Context, e *allocator.Event) (allocator.Counts, error) {
	c.asked.Add(1)
	return c.Source.Counts(ctx, e)
}

// journal is a log that tests read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.b.String(), text)
}
