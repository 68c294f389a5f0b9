package mapfan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

// Limits of following.
const (
	DefaultViewers = 10_000
	DefaultIdle    = time.Minute

	dialTimeout  = 5 * time.Second
	lookEvery    = 20 * time.Second // whether the allocator is there and anybody looks
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
	maxFollowed  = 1000 // events at one edge
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
	client  *http.Client

	ctx     context.Context //nolint:containedctx // ends with Close; followers outlive requests
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	events map[string]*follower // guarded by mu
}

// follower is one event's.
type follower struct {
	channel *Channel
	ready   chan struct{} // closed when the map is there, or known not to be
	once    sync.Once
	asked   time.Time // guarded by Followers.mu
	err     error     // guarded by Followers.mu; why there is no map
}

// Follow returns followers of the allocator at a base URL. Nothing is dialled yet.
func Follow(base string, clk clock.Clock, log *slog.Logger) *Followers {
	ctx, cancel := context.WithCancel(context.Background())
	return &Followers{
		base: strings.TrimSuffix(base, "/"), log: log, clock: clk, viewers: DefaultViewers, idle: DefaultIdle,
		client: &http.Client{}, ctx: ctx, cancel: cancel, events: make(map[string]*follower),
	}
}

// Close ends all streams and connections.
func (f *Followers) Close() {
	f.cancel()
	f.running.Wait()
}

// Viewers is how many watch at this edge, and Events what.
func (f *Followers) Viewers() (viewers, events int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.events {
		viewers += one.channel.Viewers()
	}
	return viewers, len(f.events)
}

// Channel is the channel of an event, with a map in it. The first who asks waits
// until the map is there. Errors: ErrUnknown, ErrUnavailable.
func (f *Followers) Channel(ctx context.Context, event string) (*Channel, error) {
	f.mu.Lock()
	one := f.events[event]
	if one == nil {
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
	defer one.channel.Close()
	pause, troubled := firstPause, false
	for {
		began := f.clock.Now()
		err := f.follow(event, one)
		f.mu.Lock()
		one.err = err
		f.mu.Unlock()
		one.once.Do(func() { close(one.ready) })
		if errors.Is(err, ErrUnknown) || f.ctx.Err() != nil || f.alone(one) {
			f.forget(event, one)
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

func (f *Followers) forget(event string, one *follower) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.events[event] == one {
		delete(f.events, event)
	}
}

// follow keeps one connection until it ends.
func (f *Followers) follow(event string, one *follower) error {
	conn, err := f.dial(event, one.channel)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(mapframe.MaxFrame)
	ctx, stop := context.WithCancel(f.ctx)
	defer stop()
	f.running.Go(func() { f.look(ctx, conn, one) })
	for {
		if err := f.read(ctx, conn, one.channel); err != nil {
			return err
		}
		if one.channel.Ready() {
			one.once.Do(func() { close(one.ready) })
		}
	}
}

// look ends a connection to an allocator that is gone without a word, and one that
// nobody needs. A quiet event sends nothing for hours.
func (f *Followers) look(ctx context.Context, conn *websocket.Conn, one *follower) {
	ticker := f.clock.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C():
		case <-ctx.Done():
			return
		}
		if f.alone(one) || !write(ctx, conn.Ping) {
			_ = conn.CloseNow()
			return
		}
	}
}

// alone says whether nobody has looked at an event for a while.
func (f *Followers) alone(one *follower) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return one.channel.Viewers() == 0 && f.clock.Now().Sub(one.asked) > f.idle
}

func (f *Followers) dial(event string, c *Channel) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(f.ctx, dialTimeout)
	defer cancel()
	address := f.base + "/v1/events/" + url.PathEscape(event) + "/live"
	if at, ok := c.At(); ok {
		address += "?from=" + at.String()
	}
	conn, reply, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient: f.client, Subprotocols: []string{mapframe.Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if reply != nil && reply.StatusCode == http.StatusNotFound {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to the allocator: %w", err)
	}
	return conn, nil
}

// read takes one frame in.
func (f *Followers) read(ctx context.Context, conn *websocket.Conn, c *Channel) error {
	_, raw, err := conn.Read(ctx)
	if err != nil {
		return fmt.Errorf("reading the allocator's map: %w", err)
	}
	frame, err := mapframe.Decode(raw)
	if err != nil {
		return fmt.Errorf("reading the allocator's map: %w", err)
	}
	switch frame.Kind {
	case mapframe.KindSnapshot:
		return c.Reset(frame.Snapshot)
	case mapframe.KindDelta:
		return c.Apply(frame.Delta)
	case mapframe.KindCounts:
		c.SetCounts(frame.Counts)
	}
	return nil
}
