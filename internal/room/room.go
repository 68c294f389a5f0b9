// Package room runs one waiting room in one process: it calls for admission,
// keeps a picture of the queue that costs no Redis call to look at, parks the
// fans, and carries them over failures. It knows no Caddy.
//
//	Redis ──tick 250 ms──► front, counts, settings ─┐
//	      ──board 1 s────► order of the queue ──────┼─► View (immutable) ─► status, streams
//	seats ──summary 1 s──► stock ───────────────────┘
//
// What must hold: a position that was shown never goes up (Q2); a place that was
// signed is never lost with Redis, because the token proves it and this package
// brings it back (Q5); and no loop ever waits for a fan or for the seat service.
package room

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/board"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/hub"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// Deps are the things a room works with. Queue is needed; the rest has defaults.
type Deps struct {
	Queue Queue
	Hub   hub.Config // limits of parked fans; the room sets Pace, OnGone and Clock
	Clock clock.Clock
	Log   *slog.Logger
	HTTP  *http.Client // for the seat service
}

// Queue is what a room needs of its queue in Redis; *queue.Queue is one. Every
// method may fail with queue.ErrUnavailable, and every one may be repeated.
type Queue interface {
	Configure(ctx context.Context, s queue.Settings) error
	Join(ctx context.Context, e queue.Entry) (queue.Placing, error)
	Reenter(ctx context.Context, places []queue.Place) (int, error)
	Tick(ctx context.Context, in queue.TickInput) (queue.Tick, error)
	Claim(ctx context.Context, v place.Visitor, vouch queue.Vouch) (queue.Claim, error)
	ResumeSessions(ctx context.Context, sessions []queue.Session) error
	Enter(ctx context.Context, v place.Visitor) (queue.Claim, error)
	Renew(ctx context.Context, r queue.Renewal) (queue.Claim, error)
	Began(ctx context.Context, v place.Visitor) (began time.Time, renewed bool, err error)
	Leave(ctx context.Context, v place.Visitor) error
	Release(ctx context.Context, v place.Visitor) (time.Time, error)
	Away(ctx context.Context, visitors []place.Visitor) error
	Back(ctx context.Context, visitors []place.Visitor) error
	AwayNow(ctx context.Context, limit int) ([]place.Visitor, error)
	Board(ctx context.Context) (*board.Board, error)
	Give(ctx context.Context, o queue.Order) (*queue.Record, error)
	Log(ctx context.Context, last int) (queue.Log, error)
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	SetRate(ctx context.Context, rate int, per time.Duration) error
	SetMessage(ctx context.Context, message string) error
	Split(shards int)
	Links
	Draws
}

var _ Queue = (*queue.Queue)(nil)

// Room is safe for concurrent use. It lives as long as the process needs it,
// over every reload: Apply changes what it is.
type Room struct {
	name      string
	deps      Deps
	log       *slog.Logger
	queue     Queue
	hub       *hub.Hub
	inventory inventory
	liveness  liveness
	polls     polls
	orphans   orphans
	used      used
	revoked   revocations
	spent     spent
	sessions  sessions
	drawing   drawing
	edge      string // this process among the edges
	orders    orders
	watch     watch
	cfg       atomic.Pointer[Config]
	view      atomic.Pointer[View]
	lastScore atomic.Uint64 // of places signed here while Redis was away

	mu           sync.Mutex // guards what the next view is made of
	last         queue.Tick
	ticked       bool          // Redis has answered at least once
	ticks        int64         // how often it has
	failures     int           // ticks in a row without an answer
	offset       time.Duration // Redis time − this machine's
	slack        time.Duration // how far it may be off
	fronts       place.Fronts  // highest ever seen
	passed       passed        // when they came to where they are
	generations  []uint32      // of each shard
	unconfigured bool          // settings that Redis has not taken yet
	wasPaused    bool          // the operator's word that Redis lost, likewise
	wasMessage   string
	wasOpen      bool      // it was not paused, and an older Redis says it is
	lostAt       time.Time // when Redis was last found to have lost the queue; its time
	settleUntil  time.Time // Redis time
	reentryDue   bool      // places are to be re-entered before anybody is admitted
	board        *board.Board
	stock        *Stock
	stockErr     error
	sales        sales
	conversion   conversion
	demand       demand
	pulse        pulse // admissions per second
	busy         pulse // the same, since somebody waits: what a queue can expect
	echo         echo  // likewise, over a session
	changes      []byte
	changedAt    time.Time
	door         door
	renewals     renewals // has a lock of its own

	startOnce sync.Once
	cancel    context.CancelFunc
	loops     sync.WaitGroup
}

// New returns a room. Nothing is dialled before Start.
func New(deps Deps, cfg Config) *Room {
	if deps.Clock == nil {
		deps.Clock = clock.System()
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.HTTP == nil {
		deps.HTTP = &http.Client{}
	}
	c := cfg.withDefaults()
	r := &Room{
		name:         c.Name,
		deps:         deps,
		log:          deps.Log.With("room", c.Name),
		queue:        deps.Queue,
		inventory:    inventory{deps.HTTP},
		unconfigured: true,
		watch:        newWatch(),
	}
	r.cfg.Store(c)
	r.edge = rand.Text()
	r.queue.Split(c.Queue.Shards)
	r.liveness.init()
	h := deps.Hub
	h.Pace, h.OnGone, h.Clock = c.Pace, r.gone, deps.Clock
	r.hub = hub.New(h, r)
	r.mu.Lock()
	r.publishLocked()
	r.mu.Unlock()
	return r
}

// Name is the room's name.
func (r *Room) Name() string { return r.name }

// Config is the config in force.
func (r *Room) Config() Config { return *r.cfg.Load() }

// Hub tells how many fans wait here.
func (r *Room) Hub() hub.Stats { return r.hub.Stats() }

// Start begins ticking.
func (r *Room) Start() {
	r.startOnce.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		r.cancel = cancel
		r.hub.Start()
		r.every(ctx, r.cfg.Load().Tick, r.tick)
		r.every(ctx, boardEvery, r.readBoard)
		r.every(ctx, stockEvery, r.pollStock)
		r.every(ctx, healthLook, r.checkHealth)
		r.every(ctx, reentryEvery, r.reenterDue)
		r.every(ctx, drawEvery, r.runDraw)
	})
}

// every runs f at once and then each d, never twice at a time.
func (r *Room) every(ctx context.Context, d time.Duration, f func(context.Context)) {
	ticker := r.deps.Clock.NewTicker(d)
	r.loops.Go(func() {
		defer ticker.Stop()
		for {
			f(ctx)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C():
			}
		}
	})
}

// Apply puts another config in force, for fans who wait already too. Its queue
// settings are pushed to Redis until Redis has them. The name stays.
func (r *Room) Apply(cfg Config) {
	cfg.Name = r.name
	c := cfg.withDefaults()
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.cfg.Swap(c)
	if old.Queue.Shards != c.Queue.Shards {
		r.queue.Split(c.Queue.Shards)
	}
	r.unconfigured = true
	if old.Inventory != c.Inventory || old.InventoryEvent != c.InventoryEvent {
		r.stock, r.stockErr, r.sales, r.conversion = nil, nil, sales{}, conversion{}
	}
	if old.Queue.Rate != c.Queue.Rate || old.Queue.Per != c.Queue.Per {
		r.pulse.reset() // what was measured says nothing about the new rate
		r.unmeasureLocked()
	}
	r.hub.SetPace(c.Pace)
	r.publishLocked()
}

// Close stops the loops and asks every fan to come back elsewhere, spread over
// the configured time.
func (r *Room) Close(ctx context.Context) error {
	r.startOnce.Do(func() {}) // a room never started cannot be started any more
	if r.cancel != nil {
		r.cancel()
	}
	r.loops.Wait()
	if err := r.hub.Close(ctx, r.cfg.Load().Drain); err != nil {
		return fmt.Errorf("draining room %s: %w", r.name, err)
	}
	return nil
}

// nowLocked is Redis time, as well as this edge knows it.
func (r *Room) nowLocked() time.Time { return r.deps.Clock.Now().Add(r.offset) }

// surely is a time that Redis' clock has reached.
func (r *Room) surely() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nowLocked().Add(-r.slack)
}

// Now is Redis time, as well as this edge knows it; passes are issued by it.
func (r *Room) Now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nowLocked()
}
