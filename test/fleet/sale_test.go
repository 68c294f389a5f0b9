package fleet

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/redisconn"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

const (
	crowd = 96
	// actsWithin is "about a second", on a busy machine: a tick is 250 ms, and a
	// fan's line follows it at once.
	actsWithin = 2500 * time.Millisecond
)

func TestThreeEdgesOnOneRedisAreOneSale(t *testing.T) {
	t.Parallel()
	newSale(t, devstack.Redis(t).URL(), nil).run()
}

func TestThreeEdgesOnSentinelsAreOneSaleOverAFailover(t *testing.T) {
	t.Parallel()
	servers := devstack.Sentinel(t)
	newSale(t, servers.URL(), servers).run()
}

func TestThreeEdgesOnAClusterAreOneSaleOverAFailover(t *testing.T) {
	t.Parallel()
	servers := devstack.Cluster(t)
	newSale(t, servers.URL(), servers).run()
}

// sale is one evening at three edges.
type sale struct {
	t      *testing.T
	redis  devstack.Fleet // nil where there is but one server
	rdb    redis.UniversalClient
	edges  edges
	ledger *ledger

	fans   []*fan
	scores map[place.Visitor]place.Score // each fan's, as first seen
	ctx    context.Context
	doing  sync.WaitGroup
}

func newSale(t *testing.T, url string, redis devstack.Fleet) *sale {
	t.Helper()
	rdb, err := redisconn.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	s := &sale{t: t, redis: redis, rdb: rdb, edges: startEdges(t, url), scores: map[place.Visitor]place.Score{}}
	s.ledger = watch(t, rdb, arena)
	ctx, cancel := context.WithCancel(t.Context())
	s.ctx = ctx
	t.Cleanup(func() { cancel(); s.doing.Wait() })
	return s
}

func (s *sale) run() {
	s.ordersActEverywhere()
	s.oneQueue()
	s.admits(crowd/4, "the first quarter")
	s.atTheRate()
	s.edgeDies()
	s.admits(crowd/3, "a third")
	s.edgeStops()
	s.admits(crowd/2, "a half")
	if s.redis != nil {
		s.failover()
	}
	s.everybodyGoesIn()
	s.settle()
}

// ordersActEverywhere: what an operator says at one edge holds at all.
func (s *sale) ordersActEverywhere() {
	for i, order := range []struct {
		args []string
		acts func(report) bool
	}{
		{[]string{"message", arena, "Doors open soon."}, func(r report) bool { return r.Message == "Doors open soon." }},
		{[]string{"rate", arena, fmt.Sprintf("%d/s", orderedRate)}, func(r report) bool { return r.Rate == orderedRate }},
		{[]string{"pause", arena}, func(r report) bool { return r.State == "paused" }},
		{[]string{"resume", arena}, func(r report) bool { return r.State == "open" }},
		{[]string{"pause", arena}, func(r report) bool { return r.State == "paused" }},
	} {
		s.edges[i%3].order(order.args...)
		given := time.Now()
		for _, e := range s.edges {
			eventually.Within(s.t, actsWithin, fmt.Sprintf("%v, said to one edge, holds at all", order.args), func() bool {
				r, err := e.report()
				return err == nil && order.acts(r)
			})
		}
		s.t.Logf("%v held everywhere after %v", order.args, time.Since(given).Round(time.Millisecond))
	}
}

// oneQueue: fans come to all edges, and each edge shows each the same position.
func (s *sale) oneQueue() {
	s.comes(crowd)
	s.remember()
	order := slices.Clone(s.fans)
	slices.SortFunc(order, func(a, b *fan) int { return int(s.scores[a.visitor]) - int(s.scores[b.visitor]) })
	for i, f := range order {
		for _, e := range s.edges {
			eventually.Holds(s.t, "the position is the same at every edge", func() bool {
				_, status, _, err := f.ask(s.ctx, "GET", e.fans, "/.waitroom/"+arena+"/status")
				return err == nil && status.Position == i+1 && status.Visitor == f.visitor.String()
			})
		}
	}
	for i, f := range s.fans {
		s.doing.Go(func() { f.wait(s.ctx, s.edges, i) })
	}
	eventually.Holds(s.t, "everybody has a stream and the message", func() bool {
		return !slices.ContainsFunc(s.fans, func(f *fan) bool {
			at, position, message := f.seen()
			return at == "" || position == 0 || message != "Doors open soon."
		})
	})
	s.edges[1].order("message", arena, "We begin.")
	eventually.Within(s.t, actsWithin, "every fan reads the new message", func() bool {
		return !slices.ContainsFunc(s.fans, func(f *fan) bool { _, _, message := f.seen(); return message != "We begin." })
	})
	s.edges[2].order("resume", arena)
}

// comes lets n more fans join, at all edges that run.
func (s *sale) comes(n int) {
	s.t.Helper()
	var joins sync.WaitGroup
	var mu sync.Mutex
	come := make([]*fan, n)
	for i := range come {
		f := newFan(s.t)
		come[i] = f
		joins.Go(func() {
			if err := f.join(s.ctx, s.running(i)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				s.t.Error(err)
			}
		})
	}
	joins.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
	s.fans = append(s.fans, come...)
}

// running is the address of an edge that runs.
func (s *sale) running(i int) string {
	for range s.edges {
		e := s.edges[i%len(s.edges)]
		select {
		case <-e.process.Done():
			i++
		default:
			return e.fans
		}
	}
	return s.edges[0].fans
}

// remember notes the scores that are in Redis now. A place never gets another.
func (s *sale) remember() {
	s.t.Helper()
	for v, score := range s.ledger.scores(s.t) {
		if old, known := s.scores[v]; known && old != score {
			s.t.Errorf("%v had the score %d and has %d now", v, old, score)
		}
		s.scores[v] = score
	}
}

// admits waits until so many have had their turn.
func (s *sale) admits(n int, what string) {
	s.t.Helper()
	eventually.Within(s.t, 60*time.Second, what+" is admitted", func() bool { return s.ledger.admitted() >= n })
	s.t.Logf("%s: %d admitted", what, s.ledger.admitted())
}

// atTheRate: undisturbed, the three edges together admit at the rate, and not at a
// third of it. A busy machine makes ticks late, so there is room.
func (s *sale) atTheRate() {
	got := s.ledger.inOrder(s.scores)
	first, last := got[0].at, got[len(got)-1].at
	if rate := float64(len(got)-orderedRate) / last.Sub(first).Seconds(); rate < 0.5*orderedRate {
		s.t.Errorf("three edges admit %.1f a second instead of %d", rate, orderedRate)
	}
}

// edgeDies: the fans of a killed edge land elsewhere with their places.
func (s *sale) edgeDies() {
	s.remember()
	s.leaves(s.edges[2], func(e *edge) { e.process.Kill() })
}

// edgeStops: an edge that ends asks its fans back, not all at the same moment.
func (s *sale) edgeStops() {
	s.remember()
	told := s.leaves(s.edges[1], func(e *edge) { e.process.Stop(syscall.SIGTERM) })
	waits := map[string]bool{}
	for _, f := range told {
		f.mu.Lock()
		if n := len(f.retries); n == 0 {
			s.t.Error("an edge that stopped did not say when to come back")
		} else {
			ms, err := strconv.Atoi(f.retries[n-1])
			if err != nil || ms < 500 || ms > 16_000 {
				s.t.Errorf("an edge that stopped said retry: %s", f.retries[n-1])
			}
			waits[f.retries[n-1]] = true
		}
		f.mu.Unlock()
	}
	if len(waits) < len(told)/2 {
		s.t.Errorf("%d fans were asked back at only %d different moments", len(told), len(waits))
	}
}

// leaves ends an edge and waits until its fans have their streams elsewhere.
func (s *sale) leaves(gone *edge, end func(*edge)) (moved []*fan) {
	s.t.Helper()
	for _, f := range s.fans {
		if at, _, _ := f.seen(); at == gone.fans {
			moved = append(moved, f)
		}
	}
	end(gone)
	eventually.Holds(s.t, "the fans of the edge that is gone are at others", func() bool {
		return !slices.ContainsFunc(moved, func(f *fan) bool {
			at, _, _ := f.seen()
			return (at == "" || at == gone.fans) && !f.isAdmitted()
		})
	})
	if len(moved) == 0 {
		s.t.Error("the edge had no fans")
	}
	s.remember()
	gone.start()
	gone.ready()
	return moved
}

func (f *fan) isAdmitted() bool {
	select {
	case <-f.admitted:
		return true
	default:
		return false
	}
}

// failover: the server that has the room is killed with what it had not passed on,
// fans go on coming, and when another serves the room the sale goes on.
func (s *sale) failover() {
	s.remember()
	key := rediskey.For(arena).Queue
	before := len(s.fans)
	thaw := s.redis.Freeze(key)
	s.comes(12) // and some are admitted: both are lost with the server
	killed := s.redis.KillMaster(key)
	thaw()
	s.comes(12) // while there is no Redis
	s.redis.AwaitMaster(key, killed)
	s.comes(12)
	for i, f := range s.fans[before:] {
		s.doing.Go(func() { f.wait(s.ctx, s.edges, i) })
	}
	eventually.Within(s.t, 30*time.Second, "everybody who waits is in the queue again", func() bool {
		there, err := s.rdb.ZRange(s.ctx, key, 0, -1).Result()
		return err == nil && !slices.ContainsFunc(s.fans, func(f *fan) bool {
			return !f.isAdmitted() && !s.ledger.has(f.visitor) && !slices.Contains(there, string(f.visitor[:]))
		})
	})
	s.remember()
	s.redis.Start(killed)
}

// everybodyGoesIn: each is told of its turn, claims at one edge and shows the pass to
// another. Nobody claims before, so that the ledger sees every turn.
func (s *sale) everybodyGoesIn() {
	eventually.Within(s.t, 60*time.Second, "everybody is told", func() bool {
		return !slices.ContainsFunc(s.fans, func(f *fan) bool { return !f.isAdmitted() })
	})
	for told := time.Now(); s.ledger.admitted() < len(s.fans) && time.Since(told) < unseenFor; {
		pause(s.ctx, 20*time.Millisecond)
	}
	var claims sync.WaitGroup
	errs := make([]error, len(s.fans))
	for i, f := range s.fans {
		claims.Go(func() {
			errs[i] = f.claim(s.ctx, func() string { return s.running(i + 1) }, func() string { return s.running(i + 2) })
		})
	}
	claims.Wait()
	for _, err := range errs {
		if err != nil {
			s.t.Error(err)
		}
	}
	inside, err := s.rdb.ZCard(s.ctx, rediskey.For(arena).Active).Result()
	if err != nil || int(inside) != len(s.fans) {
		s.t.Errorf("%d fans went in, Redis counts %d, %v", len(s.fans), inside, err)
	}
}

// settle is the account of the evening.
func (s *sale) settle() {
	admissions := s.ledger.inOrder(s.scores)
	checkOrder(s.t, admissions)
	checkRate(s.t, admissions, orderedRate, orderedRate)
	unseen, most := len(s.fans)-len(admissions), 0
	if s.redis != nil {
		most = mostUnseen
	}
	if unseen < 0 || unseen > most {
		s.t.Errorf("%d fans, %d admissions of known places", len(s.fans), len(admissions))
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if n := len(s.ledger.again); n > 0 {
		s.t.Errorf("%d fans were admitted twice", n)
	}
	for _, f := range s.fans {
		f.mu.Lock()
		for _, odd := range f.odd {
			s.t.Error(odd)
		}
		f.mu.Unlock()
	}
}
