// Package livemap shows what is free. It follows each event's log of changes
// with one reader a process, keeps the map in memory at two bits a cell, and
// serves it: whole (availability), as a stream of deltas (live), counted
// (summary), together with the layout that clients draw it on.
//
// What viewers ask never reaches Redis or PostgreSQL: a thousand times the
// viewers is the same load on both. In return what they see is up to a tick
// old, and the counts up to a second. A map that cannot be refreshed stays as
// it was; holding a seat is the only check that counts.
package livemap

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/mapfan"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

// Source is where the state of the cells comes from; redislock is one.
type Source interface {
	Map(ctx context.Context, e *allocator.Event) (mapframe.Snapshot, error)
	// Changes fails with mapframe.ErrGap if it does not reach back that far and
	// with allocator.ErrEpoch if the state is gone.
	Changes(ctx context.Context, e *allocator.Event, after mapframe.Version) ([]mapframe.Delta, error)
	Counts(ctx context.Context, e *allocator.Event) (allocator.Counts, error)
}

// Catalog is what the store knows of events; allocator.Store is one.
type Catalog interface {
	Event(ctx context.Context, slug string) (*allocator.Event, error)
	Categories(ctx context.Context, eventID int64) ([]allocator.Category, error)
	Layout(ctx context.Context, eventID int64, hash string) ([]byte, error)
}

// Deps are what Maps works with. Source, Catalog, Clock and Log are required.
type Deps struct {
	Source  Source
	Catalog Catalog
	Clock   clock.Clock
	Log     *slog.Logger
	// Rebuild, if set, is called when an event's state is gone, so that the map
	// comes back without waiting for somebody to hold a seat.
	Rebuild func(ctx context.Context, e *allocator.Event) error
}

// Settings of the live map. Zero values mean the defaults.
type Settings struct {
	// Tick is how long changes are gathered into one delta; default 100ms.
	// Longer ticks cost viewers freshness and save egress.
	Tick time.Duration
	// Viewers caps the streams of one event; default 10,000 (at about 15 KB
	// each). Viewers beyond it poll the availability, which caches absorb.
	Viewers int
	// Idle is how long an event nobody asks about is followed; default 1m.
	Idle time.Duration
}

const (
	defaultTick    = 100 * time.Millisecond
	defaultViewers = 10_000
	defaultIdle    = time.Minute
	// countsEvery is how often an event is counted, and thus how old a summary
	// can be. refreshEvery is the same for what the store knows of the event.
	countsEvery  = time.Second
	refreshEvery = 5 * time.Second
	// callTimeout bounds one question to the source or the catalog.
	callTimeout = 2 * time.Second
)

// Maps serves the live maps of all events. Make one with New. Safe for
// concurrent use.
type Maps struct {
	deps     Deps
	settings Settings
	ctx      context.Context //nolint:containedctx // ends when Close is called; feeds outlive requests
	cancel   context.CancelFunc
	running  sync.WaitGroup // feeds and viewers

	layouts *mapfan.Documents

	mu    sync.Mutex
	feeds map[string]*feed // guarded by mu; by slug
}

// New returns maps that follow nothing yet: an event is followed from the
// first question about it until nobody asked for Settings.Idle.
func New(deps Deps, s Settings) *Maps {
	if s.Tick <= 0 {
		s.Tick = defaultTick
	}
	if s.Viewers <= 0 {
		s.Viewers = defaultViewers
	}
	if s.Idle <= 0 {
		s.Idle = defaultIdle
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Maps{
		deps: deps, settings: s, ctx: ctx, cancel: cancel,
		feeds: make(map[string]*feed), layouts: mapfan.NewDocuments(),
	}
}

// Close ends all streams with "going away" and returns when nothing runs any
// more, or with ctx.
func (m *Maps) Close(ctx context.Context) error {
	m.cancel()
	done := make(chan struct{})
	go func() {
		m.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("closing live maps: %w", ctx.Err())
	}
}

// Viewers is how many streams are open, for metrics.
func (m *Maps) Viewers() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, f := range m.feeds {
		n += f.channel.Viewers()
	}
	return n
}

// feed finds the feed of an event, or starts it, and waits until it has a map.
// Errors: allocator.ErrEventUnknown, or one that wraps allocator.ErrUnavailable
// or is allocator.ErrEpoch if there is no map to show yet.
func (m *Maps) feed(ctx context.Context, slug string) (*feed, error) {
	m.mu.Lock()
	if m.ctx.Err() != nil {
		m.mu.Unlock()
		return nil, allocator.ErrUnavailable // closed
	}
	f := m.feeds[slug]
	if f == nil {
		m.mu.Unlock()
		// The event is looked up before anything is started for it: names that
		// do not exist must not cost memory.
		e, err := m.deps.Catalog.Event(ctx, slug)
		if err != nil {
			return nil, fmt.Errorf("finding event: %w", err)
		}
		m.mu.Lock()
		if f = m.feeds[slug]; f == nil {
			f = newFeed(m, e)
			m.feeds[slug] = f
			m.running.Go(f.run)
		}
	}
	f.touch()
	m.mu.Unlock()
	return f, f.await(ctx)
}

// forget drops a feed that was idle, unless somebody asked in the meantime.
func (m *Maps) forget(f *feed) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !f.idle(m.settings.Idle) {
		return false
	}
	delete(m.feeds, f.slug)
	return true
}
