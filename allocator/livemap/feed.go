package livemap

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/internal/mapfan"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

// feed follows one event. Its run loop is the only writer of its channel.
type feed struct {
	maps    *Maps
	slug    string
	channel *mapfan.Channel
	ready   chan struct{} // closed once there is a map with its counts

	// Only the run loop uses these.
	event      *allocator.Event
	prices     []allocator.Category
	counted    time.Time
	refreshed  time.Time
	complained bool // the present trouble was logged

	mu      sync.Mutex
	asked   time.Time // when somebody last asked
	trouble error     // why there is no map yet
	counts  Summary
}

func newFeed(m *Maps, e *allocator.Event) *feed {
	return &feed{
		maps: m, slug: e.Slug, event: e, ready: make(chan struct{}),
		asked: m.deps.Clock.Now(), trouble: allocator.ErrEpoch, channel: mapfan.New(m.settings.Viewers),
	}
}

func (f *feed) touch() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = f.maps.deps.Clock.Now()
}

func (f *feed) idle(after time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.channel.Viewers() == 0 && f.maps.deps.Clock.Now().Sub(f.asked) > after
}

// await returns when there is a map, or why there is none.
func (f *feed) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	select {
	case <-f.ready:
		return nil
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.trouble
	}
}

// run follows the event until nobody asks any more or the maps are closed.
func (f *feed) run() {
	defer f.channel.Close()
	ticker := f.maps.deps.Clock.NewTicker(f.maps.settings.Tick)
	defer ticker.Stop()
	for {
		f.tick()
		select {
		case <-ticker.C():
		case <-f.maps.ctx.Done():
			return
		}
		if f.idle(f.maps.settings.Idle) && f.maps.forget(f) {
			return
		}
	}
}

// tick brings the map, and when it is time the counts, up to date.
func (f *feed) tick() {
	ctx, cancel := context.WithTimeout(f.maps.ctx, callTimeout)
	defer cancel()
	now := f.maps.deps.Clock.Now()
	err := f.follow(ctx)
	if err == nil && now.Sub(f.refreshed) >= refreshEvery {
		if err = f.refresh(ctx); err == nil {
			f.refreshed = now
		}
	}
	if err == nil && now.Sub(f.counted) >= countsEvery {
		if err = f.count(ctx); err == nil {
			f.counted = now
		}
	}
	if errors.Is(err, allocator.ErrEpoch) && f.maps.deps.Rebuild != nil {
		err = f.maps.deps.Rebuild(ctx, f.event)
	}
	f.report(err)
}

// report logs trouble once, when it begins and when it ends.
func (f *feed) report(err error) {
	log := f.maps.deps.Log
	switch {
	case err == nil && f.complained:
		log.Info("live map is current again", "event", f.slug)
	case err != nil && !f.complained && f.maps.ctx.Err() == nil:
		log.Warn("live map is not refreshed", "event", f.slug, "error", err)
	}
	f.complained = err != nil
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.trouble = err
		return
	}
	if f.channel.Ready() {
		select {
		case <-f.ready:
		default:
			close(f.ready)
		}
	}
}

// follow takes the map on to the latest version.
func (f *feed) follow(ctx context.Context) error {
	at, ok := f.channel.At()
	if !ok {
		return f.reload(ctx)
	}
	deltas, err := f.maps.deps.Source.Changes(ctx, f.event, at)
	switch {
	case errors.Is(err, mapframe.ErrGap):
		return f.reload(ctx)
	case err != nil || len(deltas) == 0:
		return err
	}
	return f.channel.Apply(mapframe.Merge(deltas)) // if the log does not fit, the next tick starts over
}

// reload takes the whole map anew and shows it to everybody.
func (f *feed) reload(ctx context.Context) error {
	s, err := f.maps.deps.Source.Map(ctx, f.event)
	if err != nil {
		return err
	}
	return f.channel.Reset(s)
}

// refresh reads again what people may change: the phase, names, prices.
func (f *feed) refresh(ctx context.Context) error {
	e, err := f.maps.deps.Catalog.Event(ctx, f.slug)
	if err != nil {
		return err
	}
	prices, err := f.maps.deps.Catalog.Categories(ctx, e.ID)
	if err != nil {
		return err
	}
	f.event, f.prices = e, prices
	return nil
}
