// Package hub keeps the connections of fans who wait, and writes each of them a
// line when it is due: once per pace, at once when the front passes the fan,
// and at once for everybody when the room itself changes.
//
// A parked HTTP/1.1 connection costs no goroutine, no channel and no buffer: a
// slot of 48 bytes points at the raw net.Conn. 100,000 fans as SSE handlers are
// 100k × 38 KB = 3.8 GB; parked they are 100k × 1.8 KB = 180 MB. Connections
// that cannot be taken over (HTTP/2, HTTP/3) keep their goroutine and share
// everything else.
//
// What must hold: no fan can delay another (every write to a parked connection
// ends at once, and one that would block drops that fan), and memory is bounded
// by the limits in Config whatever clients do. The hub knows no rooms: what a
// line says comes from the Renderer.
package hub

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// Defaults of Config.
const (
	DefaultPace          = 5 * time.Second
	DefaultMaxParked     = 500_000 // × 1.8 KB = 0.9 GB
	DefaultMaxStreams    = 20_000  // × 62 KB (HTTP/2) = 1.2 GB
	DefaultMaxPerVisitor = 6       // tabs, and connections a phone lost without saying so
)

// Config bounds a hub. A zero field means its default.
type Config struct {
	Pace          time.Duration // time between two lines to one fan
	MaxParked     int           // connections kept without a goroutine
	MaxStreams    int           // connections kept with one
	MaxPerVisitor int           // connections of one visitor, of either kind

	// OnGone is told who left: visitors whose last connection here ended without
	// the hub having wished it. It is called from the hub's loop and must return
	// soon; a slow one delays the next lines. May be nil.
	OnGone func(visitors [][16]byte)

	Clock clock.Clock // nil means the machine's
}

// Hub holds the waiting connections of one room. Safe for concurrent use.
type Hub struct {
	cfg    Config
	render Renderer
	pace   atomic.Int64 // time.Duration; SetPace changes it live

	wheel   [wheelSize]bucket
	arrival atomic.Uint64 // spreads newcomers over the wheel
	present presence

	parked, streams              atomic.Int64
	lines, stuck, left, finished atomic.Uint64

	passed    atomic.Pointer[func(score uint64) bool] // as Passed was told, until the loop looks
	everybody atomic.Bool                             // Broadcast was called since the loop last looked
	urgent    chan struct{}
	repace    chan struct{}

	goneMu sync.Mutex
	gone   [][16]byte // guarded by goneMu; handed to OnGone by the loop

	draining  atomic.Bool
	spread    atomic.Int64 // time.Duration over which a drain asks fans to return
	startOnce sync.Once
	stopOnce  sync.Once
	stop      chan struct{}
	stopped   chan struct{}
}

// New returns a hub that draws its lines with render. Call Start before the
// first fan, and Close at the end.
func New(cfg Config, render Renderer) *Hub {
	if cfg.Pace <= 0 {
		cfg.Pace = DefaultPace
	}
	if cfg.MaxParked <= 0 {
		cfg.MaxParked = DefaultMaxParked
	}
	if cfg.MaxStreams <= 0 {
		cfg.MaxStreams = DefaultMaxStreams
	}
	if cfg.MaxPerVisitor <= 0 || cfg.MaxPerVisitor > maxCount {
		cfg.MaxPerVisitor = DefaultMaxPerVisitor
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System()
	}
	h := &Hub{
		cfg:     cfg,
		render:  render,
		urgent:  make(chan struct{}, 1),
		repace:  make(chan struct{}, 1),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	h.pace.Store(int64(cfg.Pace))
	h.present.init()
	return h
}

// Start begins writing.
func (h *Hub) Start() {
	h.startOnce.Do(func() { go h.loop(h.cfg.Clock.NewTicker(h.step()), h.cfg.Clock.Now()) })
}

// SetPace changes the time between two lines, from the next step on.
func (h *Hub) SetPace(pace time.Duration) {
	if pace > 0 && h.pace.Swap(int64(pace)) != int64(pace) {
		signal(h.repace)
	}
}

// Passed says whose turn has come: fans whose scores it is true of get their line at
// once. It is called from the hub's loop for every fan who waits here, and must do
// nothing but compare.
func (h *Hub) Passed(passed func(score uint64) bool) {
	h.passed.Store(&passed)
	signal(h.urgent)
}

// Rescore gives fans other scores, as after a draw; if there were any, everybody gets
// a line. Fans who come in meanwhile come with theirs.
func (h *Hub) Rescore(score func(visitor [16]byte, old uint64) uint64) {
	changed := false
	for i := range h.wheel {
		changed = h.wheel[i].rescore(score) || changed
	}
	if changed {
		h.Broadcast()
	}
}

// Broadcast gives everybody a line at once: the room's state changed.
func (h *Hub) Broadcast() {
	h.everybody.Store(true)
	signal(h.urgent)
}

// Stats is a reading of a hub for metrics and the operator.
type Stats struct {
	Parked, Streams int    // connections now
	Lines           uint64 // lines written to parked connections
	Stuck           uint64 // parked connections dropped because they took no more bytes
	Left            uint64 // connections that ended from the fan's side
	Finished        uint64 // connections ended by a last line
}

// Stats reads the counters. They are each right, not one moment's picture.
func (h *Hub) Stats() Stats {
	return Stats{
		Parked:   int(h.parked.Load()),
		Streams:  int(h.streams.Load()),
		Lines:    h.lines.Load(),
		Stuck:    h.stuck.Load(),
		Left:     h.left.Load(),
		Finished: h.finished.Load(),
	}
}

// signal wakes a loop that has no need to count its wake-ups.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// jitter is an even draw from [0, d). It spreads load; nothing secret hangs on it.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
