package mapfan

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// Limits of following.
const (
	DefaultViewers = 10_000
	DefaultIdle    = time.Minute

	dialTimeout  = 5 * time.Second
	maxLayout    = 64 << 20         // bytes; 200,000 cells are about 8 MB
	lookEvery    = 20 * time.Second // whether the allocator is there and anybody looks
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
	maxFollowed  = 1000 // events at one edge
	// unknownFor is how long a name that the allocator does not know is not asked for
	// again: made-up names must not reach its database one by one.
	unknownFor = 2 * time.Second
	maxUnknown = 1000
)

// Errors of Followers.Channel.
var (
	ErrUnknown     = errors.New("no such event")
	ErrUnavailable = errors.New("the map cannot be had right now")
)

// Followers follow the maps of one allocator, one connection for each event that
// somebody looks at, however many do. Safe for concurrent use.
type Followers struct {
	base    string
	log     *slog.Logger
	clock   clock.Clock
	viewers int
	idle    time.Duration
	largest int64 // bytes of a layout
	client  *http.Client

	ctx     context.Context //nolint:containedctx // ends with Close; followers outlive requests
	cancel  context.CancelFunc
	running sync.WaitGroup

	documents *Documents

	mu         sync.Mutex
	events     map[string]*follower // guarded by mu
	unknown    map[string]time.Time // guarded by mu; until when
	reconnects uint64               // guarded by mu
	gone       Stats                // guarded by mu; counts of events that are no longer followed
}

// follower is one event's.
type follower struct {
	channel *Channel
	ready   chan struct{} // closed when the map is there, or known not to be
	once    sync.Once
	asked   time.Time // guarded by Followers.mu
	linked  bool      // guarded by Followers.mu; there is a connection
	err     error     // guarded by Followers.mu; why there is no map
}

// Limits of one edge. Zero values mean the defaults.
type Limits struct {
	// Viewers caps the streams of one event; default 10,000, at about 15 KB each.
	// Those beyond it poll the availability, which costs the allocator nothing.
	Viewers int
	// Idle is how long an event that nobody looks at is followed; default 1m.
	Idle time.Duration
}

// Follow returns followers of the allocator at a base URL. Nothing is dialled yet.
func Follow(base string, limits Limits, clk clock.Clock, log *slog.Logger) *Followers {
	ctx, cancel := context.WithCancel(context.Background())
	return &Followers{
		base: strings.TrimSuffix(base, "/"), log: log, clock: clk,
		viewers: cmp.Or(limits.Viewers, DefaultViewers), idle: cmp.Or(limits.Idle, DefaultIdle), largest: maxLayout,
		client: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}, //nolint:errcheck // it is one
		ctx:    ctx, cancel: cancel, documents: NewDocuments(),
		events: make(map[string]*follower), unknown: make(map[string]time.Time),
	}
}

// Close ends all streams and connections.
func (f *Followers) Close() {
	f.cancel()
	f.running.Wait()
	f.client.CloseIdleConnections()
}

// Channel is the channel of an event, with a map in it. The first who asks waits
// until the map is there. Errors: ErrUnknown, ErrUnavailable.
func (f *Followers) Channel(ctx context.Context, event string) (*Channel, error) {
	f.mu.Lock()
	one := f.events[event]
	if one == nil {
		if f.clock.Now().Before(f.unknown[event]) {
			f.mu.Unlock()
			return nil, ErrUnknown
		}
		if len(f.events) >= maxFollowed || f.ctx.Err() != nil {
			f.mu.Unlock()
			return nil, ErrUnavailable
		}
		one = &follower{channel: New(f.viewers), ready: make(chan struct{})}
		f.events[event] = one
		f.running.Go(func() { f.run(event, one) })
	}
	one.asked = f.clock.Now()
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	select {
	case <-one.ready:
	case <-ctx.Done():
		return nil, ErrUnavailable
	}
	if one.channel.Ready() {
		return one.channel, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if errors.Is(one.err, ErrUnknown) {
		return nil, ErrUnknown
	}
	return nil, ErrUnavailable
}

// run follows an event until nobody looks any more. While the allocator is away the
// last map stays: holding a seat is the only check that counts.
func (f *Followers) run(event string, one *follower) {
	pause, troubled := firstPause, false
	for {
		began := f.clock.Now()
		err := f.follow(event, one)
		if f.ended(event, one, err) {
			return
		}
		if f.clock.Now().Sub(began) > longestPause {
			pause, troubled = firstPause, false
		}
		if !troubled {
			troubled = true
			f.log.Warn("the live map of an event is not refreshed; trying again", "event", event, "error", err)
		}
		// Spread, so that not all edges come back at once.
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-f.ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, longestPause)
	}
}

// ended notes why a connection ended, and says whether the event is followed no more.
// Whether it is needed is decided under the lock under which somebody asks for it.
func (f *Followers) ended(event string, one *follower, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	one.err, one.linked = err, false
	defer one.once.Do(func() { close(one.ready) })
	unknown := errors.Is(err, ErrUnknown)
	if !unknown && f.ctx.Err() == nil && !f.aloneLocked(one) {
		f.reconnects++
		return false
	}
	if unknown {
		if len(f.unknown) >= maxUnknown {
			clear(f.unknown)
		}
		f.unknown[event] = f.clock.Now().Add(unknownFor)
	}
	delete(f.events, event)
	one.channel.Close()
	s := one.channel.Stats()
	f.gone.Refused += s.Refused
	f.gone.Slow += s.Slow
	return true
}

// alone says whether nobody has looked at an event for a while.
func (f *Followers) alone(one *follower) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.aloneLocked(one)
}

func (f *Followers) aloneLocked(one *follower) bool {
	return one.channel.Viewers() == 0 && f.clock.Now().Sub(one.asked) > f.idle
}
