package devstack

import "testing"

// SentinelServers is a private Redis Sentinel set-up of one test. URL, Pause and
// Resume are those of SentinelDaemon.
type SentinelServers struct {
	*SentinelDaemon
	tb testing.TB
}

// Sentinel starts a private master with a replica and three sentinels, stopped
// when the test ends. A missing program fails the test.
func Sentinel(tb testing.TB) *SentinelServers {
	tb.Helper()
	daemon, err := StartSentinel(tb.Context(), SentinelOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ended(tb, daemon) })
	return &SentinelServers{daemon, tb}
}

// ClusterServers is a private Redis Cluster of one test. URL is that of
// ClusterDaemon.
type ClusterServers struct {
	*ClusterDaemon
	tb testing.TB
}

// Cluster starts a private cluster of three masters and three replicas, stopped
// when the test ends. A missing program fails the test.
func Cluster(tb testing.TB) *ClusterServers {
	tb.Helper()
	daemon, err := StartCluster(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ended(tb, daemon) })
	return &ClusterServers{daemon, tb}
}

// Fleet is several Redis servers of which one serves a key, until another does.
type Fleet interface {
	// URL is where they are, in the form that redisconn.Open takes.
	URL() string
	// KillMaster ends the server that serves the key at once, as a power cut
	// would, and returns its address.
	KillMaster(key string) (killed string)
	// Freeze cuts off whoever would take over from that server, so that what it
	// writes from now on is lost with it. Thaw when it is killed.
	Freeze(key string) (thaw func())
	// AwaitMaster waits until another server than old serves the key.
	AwaitMaster(key, old string) (master string)
	// Start starts a killed server again, without the data it had.
	Start(addr string)
}

var (
	_ Fleet = (*SentinelServers)(nil)
	_ Fleet = (*ClusterServers)(nil)
)

// KillMaster implements Fleet; every key has the same master.
func (s *SentinelServers) KillMaster(string) string {
	s.tb.Helper()
	master := got(s.tb)(s.Master(s.tb.Context()))
	check(s.tb, s.Kill(master))
	return master
}

// Freeze implements Fleet.
func (s *SentinelServers) Freeze(string) (thaw func()) {
	s.tb.Helper()
	return s.servers.freeze(s.tb, got(s.tb)(s.Master(s.tb.Context())))
}

// AwaitMaster implements Fleet.
func (s *SentinelServers) AwaitMaster(_, old string) string {
	s.tb.Helper()
	return got(s.tb)(s.FailedOver(s.tb.Context(), old))
}

// Start implements Fleet.
func (s *SentinelServers) Start(addr string) {
	s.tb.Helper()
	check(s.tb, s.SentinelDaemon.Start(s.tb.Context(), addr))
}

// KillMaster implements Fleet.
func (c *ClusterServers) KillMaster(key string) string {
	c.tb.Helper()
	master := got(c.tb)(c.MasterOf(c.tb.Context(), key))
	check(c.tb, c.Kill(master))
	return master
}

// Freeze implements Fleet.
func (c *ClusterServers) Freeze(key string) (thaw func()) {
	c.tb.Helper()
	return c.nodes.freeze(c.tb, got(c.tb)(c.MasterOf(c.tb.Context(), key)))
}

// AwaitMaster implements Fleet.
func (c *ClusterServers) AwaitMaster(key, old string) string {
	c.tb.Helper()
	return got(c.tb)(c.FailedOver(c.tb.Context(), key, old))
}

// Start implements Fleet.
func (c *ClusterServers) Start(addr string) {
	c.tb.Helper()
	check(c.tb, c.ClusterDaemon.Start(c.tb.Context(), addr))
}

// freeze gives the replicas of a master a wrong password for it, and hangs up on
// them. To pause them would not do: what is on its way would be read afterwards, and a
// sentinel may not take one that was silent.
func (all nodes) freeze(tb testing.TB, master string) (thaw func()) {
	tb.Helper()
	var frozen []string
	for addr, n := range all {
		if n.pid() != 0 && addr != master && masterOf(tb.Context(), addr) == master {
			setMasterUser(tb, addr, "nobody", "wrong")
			frozen = append(frozen, addr)
		}
	}
	rdb := asking(master)
	defer func() { _ = rdb.Close() }()
	if n, err := rdb.ClientKillByFilter(tb.Context(), "TYPE", "replica").Result(); err != nil || int(n) != len(frozen) || n == 0 {
		tb.Fatalf("%s hung up on %d of its %d replicas: %v", master, n, len(frozen), err)
	}
	return func() {
		for _, addr := range frozen {
			setMasterUser(tb, addr, "", "")
		}
	}
}

func setMasterUser(tb testing.TB, addr, user, password string) {
	tb.Helper()
	rdb := asking(addr)
	defer func() { _ = rdb.Close() }()
	check(tb, rdb.ConfigSet(tb.Context(), "masteruser", user).Err())
	check(tb, rdb.ConfigSet(tb.Context(), "masterauth", password).Err())
}

// daemon is what a test that ends has to know of its servers.
type daemon interface {
	Log() string
	Stop() error
}

func ended(tb testing.TB, d daemon) {
	if tb.Failed() {
		tb.Logf("the servers' logs:\n%s", d.Log())
	}
	check(tb, d.Stop())
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Error(err)
	}
}

// got ends the test where something could not be had.
func got(tb testing.TB) func(string, error) string {
	return func(s string, err error) string {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return s
	}
}
