package devstack_test

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func TestSentinelsPromoteTheReplicaOfAKilledMaster(t *testing.T) {
	t.Parallel()
	servers := devstack.Sentinel(t)
	master, err := servers.Master(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	write(t, master, "k", "v")
	killed := servers.KillMaster("")
	if killed != master {
		t.Fatalf("%s was killed instead of the master %s", killed, master)
	}
	promoted := servers.AwaitMaster("", killed)
	if got := read(t, promoted, "k"); got != "v" {
		t.Fatalf("the new master has %q", got)
	}
	servers.Start(killed) // and is no obstacle
	if now, err := servers.Master(t.Context()); err != nil || now != promoted {
		t.Fatalf("%s, %v; want %s", now, err, promoted)
	}
}

func TestAReplicaTakesOverTheKeysOfAKilledClusterMaster(t *testing.T) {
	t.Parallel()
	servers := devstack.Cluster(t)
	var masters []string
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		master, err := servers.MasterOf(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		write(t, master, key, "v")
		masters = append(masters, master)
	}
	slices.Sort(masters)
	if n := len(slices.Compact(slices.Clone(masters))); n != 3 {
		t.Fatalf("the keys are on %d masters", n)
	}
	killed := servers.KillMaster("a")
	promoted := servers.AwaitMaster("a", killed)
	if got := read(t, promoted, "a"); got != "v" {
		t.Fatalf("the new master has %q", got)
	}
	servers.Start(killed)
	if now, err := servers.MasterOf(t.Context(), "a"); err != nil || now != promoted {
		t.Fatalf("%s, %v; want %s", now, err, promoted)
	}
}

func TestWhatIsWrittenInAFreezeIsLostWithItsMaster(t *testing.T) {
	t.Parallel()
	for name, servers := range map[string]devstack.Fleet{"sentinel": devstack.Sentinel(t), "cluster": devstack.Cluster(t)} {
		var master string
		switch s := servers.(type) {
		case *devstack.SentinelServers:
			master, _ = s.Master(t.Context())
		case *devstack.ClusterServers:
			master, _ = s.MasterOf(t.Context(), "k")
		}
		write(t, master, "k", "kept")
		thaw := servers.Freeze("k")
		rdb := redis.NewClient(&redis.Options{Addr: master})
		if err := rdb.Set(t.Context(), "k", "lost", 0).Err(); err != nil {
			t.Fatal(err)
		}
		_ = rdb.Close()
		killed := servers.KillMaster("k")
		thaw()
		if got := read(t, servers.AwaitMaster("k", killed), "k"); got != "kept" {
			t.Errorf("%s: the new master has %q", name, got)
		}
	}
}

// write writes, and waits until a replica has it: what it has not is lost with
// its master.
func write(t *testing.T, addr, key, value string) {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = rdb.Close() }()
	conn := rdb.Conn() // WAIT is about the writes of its own connection
	defer func() { _ = conn.Close() }()
	if err := conn.Set(t.Context(), key, value, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Wait(t.Context(), 1, 0).Result(); err != nil || n < 1 {
		t.Fatalf("%d replicas have it, %v", n, err)
	}
}

func read(t *testing.T, addr, key string) string {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = rdb.Close() }()
	got, err := rdb.Get(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return got
}
