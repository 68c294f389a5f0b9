package room

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// counted is a queue that counts how often Redis is asked about a session.
type counted struct {
	Queue
	asked, renewals atomic.Int32
}

func (c *counted) Renew(ctx context.Context, r queue.Renewal) (queue.Claim, error) {
	c.renewals.Add(1)
	return c.Queue.Renew(ctx, r)
}

func (c *counted) Enter(ctx context.Context, v place.Visitor) (queue.Claim, error) {
	c.asked.Add(1)
	return c.Queue.Enter(ctx, v)
}

// alwaysOn is a room with room for 20 at once.
func alwaysOn(t *testing.T, change func(*Config)) (*edge, *counted) {
	t.Helper()
	cfg := usual()
	cfg.Queue.Burst = 20
	if change != nil {
		change(&cfg)
	}
	e := openEdge(t, cfg)
	c := &counted{Queue: e.queue}
	e.queue = c
	e.until("its settings are in force", func(v *View) bool { return v.Settings == inForce(cfg.Queue) })
	return e, c
}

func (e *edge) enters() bool {
	e.t.Helper()
	_, err := e.Enter(e.t.Context(), visitor(e.t))
	if err != nil && !errors.Is(err, queue.ErrNoRoom) {
		e.t.Fatal(err)
	}
	return err == nil
}

// passes lets one visitor through, as soon as there is a token.
func (e *edge) passes() {
	e.t.Helper()
	e.until("the door is open", func(*View) bool { return e.enters() })
}

func TestAVisitorOfAnIdleRoomGoesStraightThrough(t *testing.T) {
	t.Parallel()
	e, _ := alwaysOn(t, nil)
	var got Claim
	fan := visitor(t)
	e.until("the door is open", func(*View) bool {
		var err error
		got, err = e.Enter(t.Context(), fan)
		return err == nil
	})
	if got.Again || got.Expires.Sub(got.Issued) != time.Minute {
		t.Fatalf("%+v", got)
	}
	if again, err := e.Enter(t.Context(), fan); err != nil || !again.Again || !again.Expires.Equal(got.Expires) {
		t.Fatalf("%+v %v", again, err)
	}
	e.until("it is counted", func(v *View) bool { return v.Active == 1 && v.AdmittedTotal == 1 && v.Waiting == 0 })
}

func TestAnEdgeThatKnowsTheAnswerDoesNotAskRedis(t *testing.T) {
	t.Parallel()
	quiet := func(e *edge, c *counted, why string) {
		t.Helper()
		before := c.asked.Load()
		for range 10 {
			if e.enters() {
				t.Errorf("%s: let through", why)
			}
		}
		if n := c.asked.Load() - before; n > 0 {
			t.Errorf("%s: asked %d times", why, n)
		}
	}
	for why, change := range map[string]func(*Config){
		"queue all":       func(c *Config) { c.QueueAll = true },
		"a split one":     func(c *Config) { c.Queue.Shards = 2 },
		"a scheduled one": func(c *Config) { c.Opens = time.Now().Add(-time.Hour) },
		"not open yet":    func(c *Config) { c.Opens, c.Method = time.Now().Add(time.Hour), Reject },
		"over":            func(c *Config) { c.Closes = time.Now().Add(-time.Hour) },
	} {
		e, c := alwaysOn(t, change)
		quiet(e, c, why)
	}

	e, c := alwaysOn(t, func(c *Config) { c.Queue.Active = 3 })
	for range 3 {
		e.passes()
	}
	e.tick(t.Context())
	quiet(e, c, "the cap is reached")

	e, c = alwaysOn(t, nil)
	if err := e.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	waiting := e.join(visitor(t))
	e.tick(t.Context())
	quiet(e, c, "paused")
	if err := e.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.mu.Lock()
	e.last.Paused = false // as another edge would see it that has not admitted yet
	e.publishLocked()
	e.mu.Unlock()
	quiet(e, c, "somebody waits")
	if _, err := e.Enter(t.Context(), waiting); !errors.Is(err, queue.ErrNoRoom) {
		t.Errorf("who waits: %v", err)
	}

	e, c = alwaysOn(t, nil)
	e.mu.Lock()
	e.last.Edges, e.last.EdgesUnwell = 2, 1
	e.publishLocked()
	e.mu.Unlock()
	quiet(e, c, "the site behind is unwell")

	s := newSeats(t, allHeld)
	e, c = alwaysOn(t, func(c *Config) { c.Inventory, c.InventoryEvent = s.URL, "arena" })
	e.pollStock(t.Context())
	quiet(e, c, "no seat is free")
	s.say(soldOut)
	e.pollStock(t.Context())
	quiet(e, c, "sold out")
}

// A rush between two ticks makes as many calls as could succeed.
func TestARushAsksRedisNoMoreOftenThanCouldSucceed(t *testing.T) {
	t.Parallel()
	e, c := alwaysOn(t, func(c *Config) { c.Queue.Rate, c.Queue.Per = 1, time.Hour })
	before := c.asked.Load()
	for range 1000 {
		e.enters()
	}
	if n := c.asked.Load() - before; n != 1 { // the first is refused, and shuts the door until the next tick
		t.Errorf("asked %d times", n)
	}
	at := e.View().Now
	e.until("the next tick", func(v *View) bool { return v.Now.After(at) })
	e.enters()
	if n := c.asked.Load() - before; n != 2 {
		t.Errorf("after a tick: asked %d times", n)
	}

	tick := queue.Tick{Now: time.Now(), Active: 5, Settings: queue.Settings{Rate: 100, Per: time.Second, Burst: 20, Active: 1000}}
	for _, one := range []struct {
		name       string
		cap, limit int
		later      time.Duration
		asked      int
	}{
		{name: "the bucket", cap: 1000, limit: -1, asked: 20},
		{name: "the bucket, filled since", cap: 1000, limit: -1, later: 250 * time.Millisecond, asked: 45},
		{name: "the cap", cap: 12, limit: -1, asked: 7},
		{name: "the stock", cap: 1000, limit: 4, asked: 4},
		{name: "a clock that steps back", cap: 1000, limit: -1, later: -time.Hour, asked: 20},
	} {
		var d door
		asked := 0
		tick.Settings.Active = one.cap
		for range 100 {
			if d.ask(&tick, one.limit, tick.Now.Add(one.later)) {
				asked++
			}
		}
		if asked != one.asked {
			t.Errorf("%s: asked %d times, want %d", one.name, asked, one.asked)
		}
	}
}

func TestWithoutRedisTheDoorIsShutAtOnce(t *testing.T) {
	t.Parallel()
	e, c := alwaysOn(t, nil)
	e.passes()
	e.tick(t.Context())
	e.redis.Kill()
	before := c.asked.Load()
	for range 5 {
		if _, err := e.Enter(t.Context(), visitor(t)); !errors.Is(err, queue.ErrUnavailable) && !errors.Is(err, queue.ErrNoRoom) {
			t.Fatal(err)
		}
	}
	if n := c.asked.Load() - before; n != 1 {
		t.Errorf("asked %d times", n)
	}
	e.tick(t.Context()) // without an answer: the door stays shut
	if e.enters() {
		t.Error("let through without Redis")
	}
}

// A caller that goes away says nothing about Redis.
func TestAVisitorWhoGoesAwayShutsNoDoor(t *testing.T) {
	t.Parallel()
	e, _ := alwaysOn(t, nil)
	e.passes()
	e.tick(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Enter(ctx, visitor(t)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	e.mu.Lock()
	shut := e.door.shut
	e.mu.Unlock()
	if shut {
		t.Error("the door is shut")
	}
}

func TestWhenToComeBackFollowsTheRate(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		rate int
		per  time.Duration
		want time.Duration
	}{{1, time.Hour, time.Minute}, {2, time.Minute, 30 * time.Second}, {500, time.Minute, 10 * time.Second}, {0, 0, time.Minute}} {
		v := View{Settings: queue.Settings{Rate: one.rate, Per: one.per}}
		if got := v.RetryAfter(); got != one.want {
			t.Errorf("%d per %v: %v, want %v", one.rate, one.per, got, one.want)
		}
	}
}

func TestARoomThatRejectsGivesNoPlacesWithAndWithoutRedis(t *testing.T) {
	t.Parallel()
	cfg := usual()
	e := paused(t)
	early := e.join(visitor(t))
	cfg.Method = Reject
	e.Apply(cfg)
	e.tick(t.Context())
	fresh := visitor(t)
	refused := func(when string) {
		t.Helper()
		if _, err := e.Join(t.Context(), fresh, JoinOptions{}); !errors.Is(err, queue.ErrNoRoom) {
			t.Errorf("%s: %v", when, err)
		}
		if got := e.join(early); got.Score != early.Score {
			t.Errorf("%s: a place from before is lost: %d, %d before", when, got.Score, early.Score)
		}
	}
	refused("with Redis")
	e.redis.Kill()
	refused("without Redis")
	e.until("the edge knows", func(v *View) bool { return v.Degraded })
	refused("in the outage")
}

// What a visitor costs whom this edge sends to the queue without asking.
func BenchmarkTheDoorIsShut(b *testing.B) {
	cfg := usual()
	r := New(Deps{Queue: queue.Open(nil, "arena")}, cfg)
	tok := place.Token{Visitor: place.Visitor{1}}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Enter(b.Context(), tok); !errors.Is(err, queue.ErrNoRoom) {
				b.Error(err)
				return
			}
		}
	})
}
