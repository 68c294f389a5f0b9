package velocity

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/redisconn"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

// edge is a process of the fleet: its own table and its own connections.
func edge(t testing.TB, server *devstack.RedisServer, clk clock.Clock) *Limiter {
	t.Helper()
	rdb, err := redisconn.Open(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	return New(clk, rdb, slog.New(slog.DiscardHandler))
}

func rule(t testing.TB, l *Limiter, name string, count int, window time.Duration) *Rule {
	t.Helper()
	r, err := l.Rule(name, count, window, secret)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// machine is what a busy machine may add to one call.
const machine = 150 * time.Millisecond

// allowed asks n times and says how often the answer was yes.
func allowed(r *Rule, key string, n int) (yes int) {
	for range n {
		if r.Take(context.Background(), key).Allowed {
			yes++
		}
	}
	return yes
}

func stopped() *clock.Fake { return clock.NewFake(time.Now()) }

func TestALimitHoldsOverAllEdges(t *testing.T) {
	server := devstack.Redis(t)
	one, two := rule(t, edge(t, server, stopped()), "join", 10, time.Minute), rule(t, edge(t, server, stopped()), "join", 10, time.Minute)
	if got := allowed(one, "k", 6) + allowed(two, "k", 6); got != 10 {
		t.Errorf("%d of 12 were allowed at a limit of 10", got)
	}
	v := two.Take(t.Context(), "k")
	if v.Allowed || v.By != ByFleet || v.RetryAfter < time.Second || v.RetryAfter > time.Minute {
		t.Errorf("the edge that allowed few itself: %+v", v)
	}
	if got := allowed(two, "another", 1); got != 1 {
		t.Error("another key pays for the first")
	}
}

// T-40: at the edge of a window, a limit of L is not 2 L.
func TestT40TheEdgeOfAWindowIsNoDoor(t *testing.T) {
	clk := stopped()
	const limit = 100
	r := rule(t, edge(t, devstack.Redis(t), clk), "join", limit, time.Minute)
	total := allowed(r, "k", limit)
	clk.Advance(2 * time.Millisecond)
	total += allowed(r, "k", limit)
	if total < limit || total > limit*12/10 {
		t.Errorf("%d were allowed around the edge of a window at a limit of %d", total, limit)
	}
}

// T-42: two rules that have the same key count apart.
func TestT42RulesCountApart(t *testing.T) {
	server := devstack.Redis(t)
	l := edge(t, server, stopped())
	few, many := rule(t, l, "join few", 2, time.Minute), rule(t, l, "join many", 5, time.Minute)
	if got := allowed(few, "k", 9); got != 2 {
		t.Errorf("few: %d", got)
	}
	if got := allowed(many, "k", 9); got != 5 {
		t.Errorf("many: %d", got)
	}
	if n := server.Client().DBSize(t.Context()).Val(); n != 2 {
		t.Errorf("%d keys in Redis for two rules", n)
	}
}

// T-43: a Redis that is gone costs next to nothing, refuses nobody, leaves the
// local limit in force, and is used again when it is back.
func TestT43WithoutRedisTheLocalLimitHolds(t *testing.T) {
	for name, outage := range map[string]struct{ begin, end func(*devstack.RedisServer) }{
		"gone":  {func(s *devstack.RedisServer) { s.Kill() }, func(s *devstack.RedisServer) { s.Start() }},
		"hangs": {func(s *devstack.RedisServer) { s.Pause() }, func(s *devstack.RedisServer) { s.Resume() }},
	} {
		t.Run(name, func(t *testing.T) {
			server, clk := devstack.Redis(t), stopped()
			l := edge(t, server, clk)
			r := rule(t, l, "join", 20, time.Minute)
			if v := r.Take(t.Context(), "warm"); v.By != ByFleet {
				t.Fatalf("with Redis: %+v", v)
			}
			outage.begin(server)
			slow := 0
			for n := range 200 {
				begun := time.Now()
				if v := r.Take(t.Context(), fmt.Sprint(n)); !v.Allowed || v.By != ByProcess {
					t.Fatalf("without Redis: %+v", v)
				}
				if took := time.Since(begun); took > Patience+machine {
					t.Errorf("a call took %v", took)
				} else if took > Patience/2 {
					slow++
				}
			}
			if slow > 4*tolerated { // a busy machine may add some of its own
				t.Errorf("%d of 200 callers waited for a Redis that is away", slow)
			}
			if got := allowed(r, "flood", 50); got != 20 {
				t.Errorf("%d of 50 were allowed at a local limit of 20", got)
			}
			if s := l.Stats(); !s.BreakerOpen || s.RedisErrors != tolerated {
				t.Errorf("stats: %+v", s)
			}
			outage.end(server)
			clk.Advance(pause)
			if v := r.Take(t.Context(), "again"); v.By != ByFleet {
				t.Errorf("with Redis again: %+v", v)
			}
			if l.Stats().BreakerOpen {
				t.Error("the breaker stays open")
			}
		})
	}
}

func TestOneCallTriesARedisThatMayBeBack(t *testing.T) {
	server, clk := devstack.Redis(t), stopped()
	l := edge(t, server, clk)
	r := rule(t, l, "join", 20, time.Minute)
	server.Kill()
	for n := range tolerated {
		r.Take(t.Context(), fmt.Sprint(n))
	}
	for n := range 5 {
		clk.Advance(pause)
		allowed(r, "k", 3)
		if got := l.Stats().RedisErrors; got != int64(tolerated+n+1) {
			t.Fatalf("after %d pauses Redis was asked %d times", n+1, got)
		}
	}
}

func TestTheBreakerLetsOneCallThroughAtATime(t *testing.T) {
	var b breaker
	now := time.Now()
	for n := range tolerated {
		if !b.enter(now) {
			t.Fatalf("closed before %d failures", n)
		}
		b.leave(now, false)
	}
	if b.enter(now.Add(pause - 1)) {
		t.Error("somebody calls during the pause")
	}
	now = now.Add(pause)
	if !b.enter(now) || b.enter(now) {
		t.Error("after the pause, not exactly one calls")
	}
	if got := b.leave(now, false); got != unchanged || b.enter(now) {
		t.Error("a call that fails does not begin another pause")
	}
	now = now.Add(pause)
	if !b.enter(now) || b.leave(now, true) != closed || !b.enter(now) || !b.enter(now) {
		t.Error("a call that goes well does not end it")
	}
}

// T-47: a million keys fit into the same memory as a quarter of that.
func TestT47KeysWithoutNumberHaveBoundedMemory(t *testing.T) {
	l := New(stopped(), nil, slog.New(slog.DiscardHandler))
	r, err := l.Local("join", 30, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range 1_000_000 {
		if !r.Take(t.Context(), fmt.Sprint(n)).Allowed {
			t.Fatal("a new key is refused")
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := l.Stats().Keys; n > shards*shardKeys {
		t.Errorf("%d keys are kept", n)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("a million keys take %d MB", grown>>20)
	}
}

// A flood of new keys makes room at the cost of idle keys, not of those near their limit.
func TestAFullTableForgetsIdleKeysFirst(t *testing.T) {
	now := time.Now().UnixNano()
	s := shard{whole: make(map[uint64]int64)}
	busy := newLimit(1, time.Hour)
	idle := newLimit(1000, time.Second)
	s.take(1, now, busy)
	for id := uint64(2); len(s.whole) < shardKeys; id++ {
		s.take(id, now, idle)
	}
	now += int64(time.Minute) // the idle ones have their whole credit again
	for id := uint64(1 << 32); id < 1<<32+4*shardKeys; id++ {
		s.take(id, now, idle)
		now += int64(10 * time.Millisecond)
	}
	if s.take(1, now, busy) == 0 {
		t.Error("the busy key was forgotten")
	}
	if len(s.whole) > shardKeys {
		t.Errorf("%d keys", len(s.whole))
	}
}

func TestEveryKeyInRedisEnds(t *testing.T) {
	server := devstack.Redis(t)
	r := rule(t, edge(t, server, stopped()), "join", 10, time.Minute)
	allowed(r, "203.0.113.0/24", 2)
	rdb := server.Client()
	keys := rdb.Keys(t.Context(), "*").Val()
	if len(keys) != 1 || !strings.HasPrefix(keys[0], keyPrefix) || strings.Contains(keys[0], "203") {
		t.Fatalf("keys: %q", keys)
	}
	if left := rdb.PTTL(t.Context(), keys[0]).Val(); left <= 0 || left > time.Minute {
		t.Errorf("it ends in %v", left)
	}
	// A counter that lost its end would ban its key for ever.
	rdb.Persist(t.Context(), keys[0])
	allowed(r, "203.0.113.0/24", 1)
	if left := rdb.PTTL(t.Context(), keys[0]).Val(); left <= 0 {
		t.Errorf("a key without end stays so: %v", left)
	}
}

func TestARuleIsMadeWithoutRedis(t *testing.T) {
	server := devstack.Redis(t)
	server.Kill()
	l := edge(t, server, stopped())
	r := rule(t, l, "join", 10, time.Minute)
	if n := l.Stats().RedisErrors; n != 0 {
		t.Errorf("making a rule asked Redis %d times", n)
	}
	server.Start()
	if v := r.Take(t.Context(), "k"); v.By != ByFleet {
		t.Errorf("once Redis is there: %+v", v)
	}
}

func TestARedisThatForgotItsScriptsIsTaughtAgain(t *testing.T) {
	server := devstack.Redis(t)
	r := rule(t, edge(t, server, stopped()), "join", 10, time.Minute)
	allowed(r, "k", 1)
	if err := server.Client().ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if v := r.Take(t.Context(), "k"); v.By != ByFleet || !v.Allowed {
		t.Errorf("%+v", v)
	}
}

func TestACallerWhoLeavesIsNoOutage(t *testing.T) {
	l := edge(t, devstack.Redis(t), stopped())
	r := rule(t, l, "join", 10, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 5 {
		r.Take(ctx, "k")
	}
	if s := l.Stats(); s.RedisErrors != 0 || s.BreakerOpen {
		t.Errorf("%+v", s)
	}
}

func TestLimitsThatCannotBeMeantAreRefused(t *testing.T) {
	l := New(stopped(), redis.NewClient(&redis.Options{}), slog.New(slog.DiscardHandler))
	for _, bad := range []struct {
		count  int
		window time.Duration
	}{{0, time.Minute}, {-1, time.Minute}, {MaxCount + 1, time.Minute}, {1, 0}, {1, time.Millisecond}, {1, 48 * time.Hour}} {
		if _, err := l.Rule("r", bad.count, bad.window, secret); err == nil {
			t.Errorf("%d in %v is accepted", bad.count, bad.window)
		}
	}
}

func BenchmarkTheTable(b *testing.B) {
	l := New(clock.System(), nil, slog.New(slog.DiscardHandler))
	r, err := l.Local("join", 1_000_000, time.Second)
	if err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Take(b.Context(), "203.0.113.0/24")
		}
	})
}

func BenchmarkTheFleet(b *testing.B) {
	r := rule(b, edge(b, devstack.Redis(b), clock.System()), "join", MaxCount, time.Second)
	for b.Loop() {
		r.Take(b.Context(), "k")
	}
}
