package mapfan

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

// look gets an event's channel, for good.
func look(t testing.TB, f *Followers, event string) *Channel {
	t.Helper()
	c, err := f.Channel(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnyNumberOfViewersCostTheAllocatorOneConnection(t *testing.T) {
	t.Parallel()
	source := channel(t, 10, 1000)
	a := newAllocator(t, map[string]*Channel{"arena": source})
	f := follow(t, a, Limits{}, clock.System())
	address := serve(t, look(t, f, "arena"))
	watchers := make([]*watcher, 50)
	for i := range watchers {
		look(t, f, "arena").ServeAvailability(discard{}, &http.Request{Method: http.MethodGet, Header: http.Header{}})
		watchers[i] = watch(t, address)
	}
	set(t, source, 77, mapframe.Held)
	for _, w := range watchers {
		w.sees(77, mapframe.Held)
	}
	if got := a.streams(); len(got) != 1 || source.Viewers() != 1 {
		t.Errorf("the allocator was asked for %v and has %d viewers", got, source.Viewers())
	}
	if s := f.Stats(); s.Viewers != 50 || s.Events != 1 || s.Connected != 1 || s.Reconnects != 0 {
		t.Errorf("figures %+v", s)
	}
}

// discard is a writer nobody reads.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

func TestTheLastMapStaysWhileTheAllocatorIsAwayAndGoesOnAfterwards(t *testing.T) {
	t.Parallel()
	source := channel(t, 10, 100)
	set(t, source, 1, mapframe.Booked)
	a := newAllocator(t, map[string]*Channel{"arena": source})
	f := follow(t, a, Limits{}, clock.System())
	c := look(t, f, "arena")
	w := watch(t, serve(t, c))
	w.sees(1, mapframe.Booked)

	a.stop()
	eventually.Holds(t, "the loss is noticed", func() bool { return f.Stats().Connected == 0 })
	if got := look(t, f, "arena"); got != c {
		t.Fatal("the map was let go")
	}
	if frame, at, ok := c.Snapshot(); !ok || at.Ver != 1 || len(frame) == 0 {
		t.Errorf("the map is gone: %v %v", at, ok)
	}

	next := channel(t, 10, 100)
	set(t, next, 1, mapframe.Booked)
	set(t, next, 2, mapframe.Held)
	a.restart(t, map[string]*Channel{"arena": next})
	w.sees(2, mapframe.Held)
	if got := a.streams(); got[len(got)-1] != "arena from=1.1" {
		t.Errorf("it came back as %q", got)
	}
	if slices.Contains(w.kinds[1:], mapframe.KindSnapshot) {
		t.Errorf("who had the map was sent it again: %v", w.kinds)
	}
	if s := f.Stats(); s.Connected != 1 || s.Reconnects == 0 {
		t.Errorf("figures %+v", s)
	}
}

func TestAnEpochThatEndedWhileAwayIsTakenAnew(t *testing.T) {
	t.Parallel()
	source := channel(t, 10, 100)
	set(t, source, 1, mapframe.Booked)
	a := newAllocator(t, map[string]*Channel{"arena": source})
	f := follow(t, a, Limits{}, clock.System())
	w := watch(t, serve(t, look(t, f, "arena")))
	w.sees(1, mapframe.Booked)
	a.stop()
	next := New(10)
	s := mapframe.Snapshot{At: mapframe.Version{Epoch: 2}, Cells: 100, Bits: make([]byte, 25)}
	if err := next.Reset(s); err != nil {
		t.Fatal(err)
	}
	next.SetCounts([]byte(`{}`))
	a.restart(t, map[string]*Channel{"arena": next})
	w.sees(1, mapframe.Free)
	if w.state.At().Epoch != 2 {
		t.Errorf("the map is at %v", w.state.At())
	}
}

// Whatever an allocator sends, the edge ends with its map.
func TestWhatDoesNotFitIsHealedByANewSnapshot(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string][]byte{
		"a gap":              mapframe.AppendDelta(nil, mapframe.Delta{Epoch: 1, From: 5, To: 6}),
		"a cell beyond":      mapframe.AppendDelta(nil, mapframe.Delta{Epoch: 1, From: 0, To: 1, Changes: []mapframe.Change{{Ordinal: 5000}}}),
		"no frame at all":    []byte("hello"),
		"another map's bits": {0x01, 1, 1, 100, 0},
		"nothing":            {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := channel(t, 10, 100)
			a := newAllocator(t, map[string]*Channel{"arena": source})
			var tries atomic.Int32
			a.stream = func(w http.ResponseWriter, r *http.Request) {
				if tries.Add(1) > 1 {
					set(t, source, 9, mapframe.Held)
					source.ServeLive(w, r, clock.System())
					return
				}
				conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{mapframe.Subprotocol}})
				if err != nil {
					return
				}
				defer func() { _ = conn.CloseNow() }()
				frame, _, _ := source.Snapshot()
				for _, b := range [][]byte{frame, mapframe.AppendCounts(nil, source.Counts()), wrong} {
					if conn.Write(r.Context(), websocket.MessageBinary, b) != nil {
						return
					}
				}
				_, _, _ = conn.Read(r.Context()) // until the edge has had enough
			}
			f := follow(t, a, Limits{}, clock.System())
			c := look(t, f, "arena")
			eventually.Holds(t, "the map is right again", func() bool {
				_, at, ok := c.Snapshot()
				return ok && at.Ver == 1
			})
		})
	}
}

func TestAnUnknownEventIsAskedForOnceInAWhile(t *testing.T) {
	t.Parallel()
	a, clk := newAllocator(t, nil), clock.NewFake(time.Unix(1000, 0))
	f := follow(t, a, Limits{}, clk)
	for range 10 {
		if _, err := f.Channel(t.Context(), "none"); !errors.Is(err, ErrUnknown) {
			t.Fatalf("got %v", err)
		}
		eventually.Holds(t, "it is let go", func() bool { return f.Stats().Events == 0 })
	}
	if got := len(a.streams()); got != 1 {
		t.Errorf("the allocator was asked %d times", got)
	}
	a.mu.Lock()
	a.maps = map[string]*Channel{"none": channel(t, 10, 10)}
	a.mu.Unlock()
	clk.Advance(unknownFor)
	look(t, f, "none") // it was made in the meantime
}

func TestMadeUpNamesTakeNoRoomForEver(t *testing.T) {
	t.Parallel()
	a := newAllocator(t, nil)
	f := follow(t, a, Limits{}, clock.NewFake(time.Unix(1000, 0)))
	for i := range maxUnknown + 5 {
		f.mu.Lock()
		f.events["x"] = &follower{channel: New(1), ready: make(chan struct{})}
		one := f.events["x"]
		f.mu.Unlock()
		f.ended(fmt.Sprintf("made-up-%d", i), one, ErrUnknown)
		f.mu.Lock()
		n := len(f.unknown)
		f.mu.Unlock()
		if n > maxUnknown {
			t.Fatalf("%d names are remembered", n)
		}
	}
}

func TestNoMoreEventsThanTheLimit(t *testing.T) {
	t.Parallel()
	a := newAllocator(t, nil)
	f := follow(t, a, Limits{}, clock.System())
	f.mu.Lock()
	for i := range maxFollowed {
		f.events[fmt.Sprint(i)] = &follower{channel: New(1), ready: make(chan struct{})}
	}
	f.mu.Unlock()
	if _, err := f.Channel(t.Context(), "one-more"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if got := a.streams(); len(got) != 0 {
		t.Errorf("the allocator was asked %v", got)
	}
}

func TestAnEventNobodyLooksAtIsLetGo(t *testing.T) {
	t.Parallel()
	source := channel(t, 10, 100)
	a, clk := newAllocator(t, map[string]*Channel{"arena": source}), clock.NewFake(time.Unix(1000, 0))
	f := follow(t, a, Limits{Idle: time.Minute}, clk)
	w := watch(t, serve(t, look(t, f, "arena")))
	w.until("it sees the map", func() bool { return w.state != nil })
	f.mu.Lock()
	one := f.events["arena"]
	f.mu.Unlock()
	clk.Advance(time.Hour)
	if f.alone(one) {
		t.Fatal("an event that somebody watches is let go")
	}
	_ = w.conn.CloseNow()
	eventually.Holds(t, "nobody watches", func() bool { return f.Stats().Viewers == 0 })
	eventually.Holds(t, "it is let go", func() bool {
		clk.Advance(lookEvery)
		return f.Stats().Events == 0
	})
	eventually.Holds(t, "the allocator is rid of it", func() bool { return source.Viewers() == 0 })
	look(t, f, "arena") // and it comes again when somebody does
}

func TestAnAllocatorThatDoesNotAnswerCostsNobodyTheirPatience(t *testing.T) {
	t.Parallel()
	a := newAllocator(t, map[string]*Channel{})
	gate := make(chan struct{})
	a.stream = func(http.ResponseWriter, *http.Request) { <-gate }
	f := follow(t, a, Limits{}, clock.System())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := f.Channel(ctx, "arena"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	close(gate)
}

// A machine that loses its power says nothing: without the pings its map would
// stand still for ever.
func TestAnAllocatorThatIsGoneWithoutAWordIsNoticed(t *testing.T) {
	t.Parallel()
	source := channel(t, 10, 100)
	a, clk := newAllocator(t, nil), clock.NewFake(time.Unix(1000, 0))
	silent := make(chan struct{})
	var tries atomic.Int32
	a.stream = func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) > 1 {
			source.ServeLive(w, r, clock.System())
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			Subprotocols:   []string{mapframe.Subprotocol},
			OnPingReceived: func(context.Context, []byte) bool { return false },
		})
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		frame, _, _ := source.Snapshot()
		_ = conn.Write(r.Context(), websocket.MessageBinary, frame)
		_ = conn.Write(r.Context(), websocket.MessageBinary, mapframe.AppendCounts(nil, source.Counts()))
		<-silent
	}
	f := follow(t, a, Limits{Idle: 1000 * time.Hour}, clk)
	t.Cleanup(func() { close(silent) })
	look(t, f, "arena")
	eventually.Holds(t, "a ping goes without an answer, and a new connection is made", func() bool {
		clk.Advance(lookEvery)
		return tries.Load() > 1
	})
}

func TestALayoutComesFromTheAllocatorOnce(t *testing.T) {
	t.Parallel()
	plain, hash := layout()
	a := newAllocator(t, nil)
	a.layouts[hash] = plain
	f := follow(t, a, Limits{}, clock.System())
	for range 20 {
		if _, err := f.Layout(t.Context(), "arena", hash); err != nil {
			t.Fatal(err)
		}
	}
	if a.loads != 1 {
		t.Errorf("the allocator was asked %d times", a.loads)
	}
	other := hash[:hashLength-1] + "0"
	if _, err := f.Layout(t.Context(), "arena", other); !errors.Is(err, ErrNoDocument) {
		t.Errorf("an unknown one: %v", err)
	}
	a.Server.Close()
	if _, err := f.Layout(t.Context(), "arena", hash); err != nil {
		t.Errorf("while the allocator is away: %v", err)
	}
	if _, err := f.Layout(t.Context(), "arena", other); !errors.Is(err, ErrUnavailable) {
		t.Errorf("one that is not there while the allocator is away: %v", err)
	}
}

func TestALayoutHasALimit(t *testing.T) {
	t.Parallel()
	plain, hash := layout()
	a := newAllocator(t, nil)
	a.layouts[hash] = plain
	f := follow(t, a, Limits{}, clock.System())
	f.largest = int64(len(plain)) - 1
	if _, err := f.Layout(t.Context(), "arena", hash); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	f.largest++
	if _, err := f.Layout(t.Context(), "arena", hash); err != nil {
		t.Errorf("one of just that size: %v", err)
	}
}
