package redisconn_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/redisconn"
)

const (
	// slack is what a busy machine may add to a bound.
	slack = 250 * time.Millisecond
	// backWithin is how soon calls succeed once another master serves: the client
	// looks once a second whether a server that refused it is back.
	backWithin = 3 * time.Second
)

// count is a script as the queue's are: it names its keys, and is known to no
// server before its first call.
var count = redis.NewScript(`return redis.call('INCRBY', KEYS[1], ARGV[1])`)

// rooms are enough for several to live on each master of a cluster.
var rooms = func() (keys []string) {
	for i := range 12 {
		keys = append(keys, fmt.Sprintf("tickets:{room-%d}:room", i))
	}
	return keys
}()

func open(t *testing.T, address string) redis.UniversalClient {
	t.Helper()
	rdb, err := redisconn.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// caller calls for one key over and over, as an edge's ticks do.
type caller struct {
	answered atomic.Int64
	slowest  atomic.Int64 // of the calls that failed or not, ns
	failed   atomic.Int64
}

func (c *caller) call(ctx context.Context, rdb redis.UniversalClient, key string) error {
	begun := time.Now()
	err := count.Run(ctx, rdb, []string{key}, 1).Err()
	took := int64(time.Since(begun))
	for old := c.slowest.Load(); took > old && !c.slowest.CompareAndSwap(old, took); old = c.slowest.Load() {
	}
	if err != nil {
		c.failed.Add(1)
		return err
	}
	c.answered.Add(1)
	return nil
}

// calling calls for every key until the test says stop.
func calling(t *testing.T, rdb redis.UniversalClient) (callers map[string]*caller, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	callers = map[string]*caller{}
	var loops sync.WaitGroup
	for _, key := range rooms {
		c := &caller{}
		callers[key] = c
		loops.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				_ = c.call(ctx, rdb, key)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	stop = func() { cancel(); loops.Wait() }
	t.Cleanup(stop)
	return callers, stop
}

func TestCallsFailInTimeDuringAFailoverAndSucceedSoonAfter(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(testing.TB) devstack.Fleet{
		"sentinel": func(tb testing.TB) devstack.Fleet { return devstack.Sentinel(tb) },
		"cluster":  func(tb testing.TB) devstack.Fleet { return devstack.Cluster(tb) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := begin(t)
			rdb := open(t, servers.URL())
			callers, stop := calling(t, rdb)
			eventually.Holds(t, "every room is served", func() bool {
				for _, c := range callers {
					if c.answered.Load() < 3 {
						return false
					}
				}
				return true
			})
			killed, lost := servers.KillMaster(rooms[0]), time.Now()
			servers.AwaitMaster(rooms[0], killed)
			t.Logf("another master after %v", time.Since(lost).Round(10*time.Millisecond))
			before := map[string]int64{}
			for key, c := range callers {
				before[key] = c.answered.Load()
			}
			eventually.Within(t, backWithin, "every room is served by the masters that are left", func() bool {
				for key, c := range callers {
					if c.answered.Load() < before[key]+3 {
						return false
					}
				}
				return true
			})
			t.Logf("every room is served after %v", time.Since(lost).Round(10*time.Millisecond))
			stop()
			if callers[rooms[0]].failed.Load() == 0 {
				t.Error("nothing failed: the test has not seen a failover")
			}
			for key, c := range callers {
				if took := time.Duration(c.slowest.Load()); took > redisconn.Patience+slack { // EVALSHA, then EVAL where it is not known
					t.Errorf("%s: a call took %v", key, took)
				}
			}
		})
	}
}

func TestAClusterClientFollowsAKeyToItsNewMaster(t *testing.T) {
	t.Parallel()
	servers := devstack.Cluster(t)
	knowing, moving := open(t, servers.URL()), open(t, servers.URL())
	key := rooms[0]
	if err := count.Run(t.Context(), knowing, []string{key}, 1).Err(); err != nil { // it knows now who serves the key
		t.Fatal(err)
	}
	old, err := servers.MasterOf(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	eventually.Holds(t, "a replica has taken over, by request", func() bool {
		takeOver(t, moving, old)
		now, err := servers.MasterOf(t.Context(), key)
		return err == nil && now != old
	})
	if n, err := count.Run(t.Context(), knowing, []string{key}, 1).Int(); err != nil || n != 2 {
		t.Errorf("%d, %v; a server that answers MOVED is no reason to fail", n, err)
	}
}

// takeOver asks the replica of a master to take its place.
func takeOver(t *testing.T, rdb redis.UniversalClient, master string) {
	t.Helper()
	err := rdb.(*redis.ClusterClient).ForEachSlave(t.Context(), func(ctx context.Context, replica *redis.Client) error {
		role, err := replica.Do(ctx, "ROLE").Slice()
		if err != nil || len(role) < 3 || net.JoinHostPort(fmt.Sprint(role[1]), fmt.Sprint(role[2])) != master {
			return err
		}
		return replica.ClusterFailover(ctx).Err()
	})
	if err != nil {
		t.Logf("asking for a failover: %v", err)
	}
}

func TestNoCallWaitsLongerThanItsPatienceHoweverManyWait(t *testing.T) {
	t.Parallel()
	server := devstack.Redis(t)
	rdb := open(t, server.URL())
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	defer server.Resume()
	var c caller
	var calls sync.WaitGroup
	for range 200 { // many more than there are connections
		calls.Go(func() { _ = c.call(t.Context(), rdb, rooms[0]) })
	}
	calls.Wait()
	if took := time.Duration(c.slowest.Load()); c.answered.Load() != 0 || took > redisconn.Patience+slack {
		t.Fatalf("%d were answered by a server that hangs; the slowest call took %v", c.answered.Load(), took)
	}
}

// A machine that is lost takes its sentinel with it, and nothing says so: packets
// just get no answer.
func TestAMasterThatHangsTogetherWithTheSentinelThatIsAskedIsSurvived(t *testing.T) {
	t.Parallel()
	servers := devstack.Sentinel(t)
	rdb := open(t, servers.URL())
	key := rooms[0]
	eventually.Holds(t, "calls are answered", func() bool {
		return count.Run(t.Context(), rdb, []string{key}, 1).Err() == nil
	})
	master, err := servers.Master(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var asked string
	eventually.Holds(t, "the client listens to a sentinel", func() bool {
		asked = listenedTo(t, servers)
		return asked != ""
	})
	for _, addr := range []string{master, asked} {
		if err := servers.Pause(addr); err != nil {
			t.Fatal(err)
		}
	}
	callers, stop := calling(t, rdb)
	eventually.Holds(t, "another master serves", func() bool {
		return callers[key].answered.Load() > 3
	})
	stop()
	for key, c := range callers {
		if took := time.Duration(c.slowest.Load()); took > redisconn.Patience+slack {
			t.Errorf("%s: a call took %v", key, took)
		}
	}
}

// listenedTo is the sentinel that our client has chosen: it has told it to say when
// the master changes. Sentinels listen to masters, never to each other.
func listenedTo(t *testing.T, servers *devstack.SentinelServers) string {
	t.Helper()
	for _, addr := range servers.Sentinels() {
		rdb := redis.NewClient(&redis.Options{Addr: addr})
		list, err := rdb.ClientList(t.Context()).Result()
		_ = rdb.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(list, "sub=2") {
			return addr
		}
	}
	return ""
}
