package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

const (
	// sentinelMaster is what the master is called.
	sentinelMaster = "sale"
	sentinels      = 3
	sentinelQuorum = 2
	// downAfter is how long a master is silent before it is given up. Shorter, and a
	// busy machine makes failovers that nobody asked for.
	downAfter = "1000"
)

// SentinelOptions are the settings of a private Redis Sentinel set-up.
type SentinelOptions struct {
	Replicas int // 0 is one
}

// SentinelDaemon is a private Redis with replicas and three sentinels that
// promote one of them when the master is gone. Its methods may be called from any
// goroutine.
type SentinelDaemon struct {
	folder    *folder
	servers   nodes
	sentinels nodes
}

// StartSentinel starts a set-up and returns when a failover would succeed. ctx
// bounds the start only; the servers run until Stop.
func StartSentinel(ctx context.Context, options SentinelOptions) (*SentinelDaemon, error) {
	program, user, folder, err := groundFor("redis-server")
	if err != nil {
		return nil, err
	}
	servers := 1 + max(1, options.Replicas)
	s := &SentinelDaemon{folder: folder}
	err = onFreePorts(servers+sentinels, func(ports []int) error {
		return s.build(ctx, program, user, ports[:servers], ports[servers:])
	})
	if err != nil {
		return nil, errors.Join(err, folder.remove())
	}
	return s, nil
}

func (s *SentinelDaemon) build(ctx context.Context, program string, user *syscall.Credential, servers, watchers []int) error {
	s.servers, s.sentinels = nodes{}, nodes{}
	for i, port := range servers {
		args := replicating
		if i > 0 {
			args = append(append([]string{}, replicating...), "--replicaof", fmt.Sprintf("%s %d", loopback, servers[0]))
		}
		n, err := newNode(program, s.folder.path, port, user, args...)
		if err != nil {
			return err
		}
		s.servers[n.addr()] = n
	}
	for _, port := range watchers {
		n, err := newNode(program, s.folder.path, port, user)
		if err != nil {
			return err
		}
		if n.args, err = s.watch(n, servers[0]); err != nil {
			return err
		}
		s.sentinels[n.addr()] = n
	}
	if err := s.servers.startAll(ctx); err != nil {
		return err
	}
	master := servers[0]
	err := await(ctx, "the replicas are in step", func(ctx context.Context) bool { return s.inStep(ctx, master) })
	if err == nil { // sentinels ask a master for its replicas at their start, and then only every ten seconds
		err = s.sentinels.startAll(ctx)
	}
	if err == nil {
		err = await(ctx, "the sentinels know each other and the replicas", s.ready)
	}
	if err != nil {
		err = fmt.Errorf("%w; the logs:\n%s", err, s.Log())
		s.servers.stop()
		s.sentinels.stop()
	}
	return err
}

// inStep says whether every other server is a replica that has all its master has.
func (s *SentinelDaemon) inStep(ctx context.Context, master int) bool {
	for addr, n := range s.servers {
		if n.port != master && !inStep(ctx, addr) {
			return false
		}
	}
	return true
}

// watch writes a sentinel's configuration, which it will rewrite itself.
func (s *SentinelDaemon) watch(n *node, master int) ([]string, error) {
	path := filepath.Join(n.dir, "sentinel.conf")
	conf := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]d %[4]d\nsentinel down-after-milliseconds %[1]s %[5]s\n"+
		"sentinel failover-timeout %[1]s 2000\n", sentinelMaster, loopback, master, sentinelQuorum, downAfter)
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return nil, fmt.Errorf("writing a sentinel's configuration: %w", err)
	}
	return []string{path, "--sentinel"}, own(n.user, n.dir, 0o700)
}

// ready says whether every sentinel knows the others and every replica.
func (s *SentinelDaemon) ready(ctx context.Context) bool {
	for addr := range s.sentinels {
		state, err := askSentinel(ctx, addr, "MASTER")
		if err != nil || state["num-other-sentinels"] != fmt.Sprint(sentinels-1) || state["num-slaves"] != fmt.Sprint(len(s.servers)-1) {
			return false
		}
	}
	return true
}

func askSentinel(ctx context.Context, addr, what string) (map[string]string, error) {
	rdb := asking(addr)
	defer func() { _ = rdb.Close() }()
	cmd := redis.NewMapStringStringCmd(ctx, "SENTINEL", what, sentinelMaster)
	_ = rdb.Process(ctx, cmd)
	return cmd.Result()
}

// URL is where the set-up is, in the form that redisconn.Open takes.
func (s *SentinelDaemon) URL() string {
	return "redis-sentinel://" + strings.Join(s.sentinels.addrs(), ",") + "/" + sentinelMaster + "/0"
}

// Master is the master's address, as most of the sentinels have it.
func (s *SentinelDaemon) Master(ctx context.Context) (string, error) {
	votes := map[string]int{}
	for addr, n := range s.sentinels {
		if n.pid() == 0 {
			continue
		}
		if state, err := askSentinel(ctx, addr, "MASTER"); err == nil {
			master := net.JoinHostPort(state["ip"], state["port"])
			if votes[master]++; votes[master] >= sentinelQuorum {
				return master, nil
			}
		}
	}
	return "", errors.New("asking the sentinels for the master: they do not agree")
}

// FailedOver waits until the sentinels agree on another master than old, and it serves.
func (s *SentinelDaemon) FailedOver(ctx context.Context, old string) (master string, err error) {
	err = await(ctx, "another master serves than "+old, func(ctx context.Context) bool {
		master, err = s.Master(ctx)
		return err == nil && master != old && isMaster(ctx, master)
	})
	return master, err
}

// Kill ends one server or sentinel at once, as a power cut would.
func (s *SentinelDaemon) Kill(addr string) error { return s.do(addr, (*node).kill) }

// Pause stops one in its tracks: connections stay open and nothing answers.
func (s *SentinelDaemon) Pause(addr string) error {
	return s.do(addr, func(n *node) { n.signal(syscall.SIGSTOP) })
}

// Resume lets a paused one go on.
func (s *SentinelDaemon) Resume(addr string) error {
	return s.do(addr, func(n *node) { n.signal(syscall.SIGCONT) })
}

// Start starts a killed one again, without the data it had. The sentinels make a
// replica of a server that is not the master any more.
func (s *SentinelDaemon) Start(ctx context.Context, addr string) error {
	n, err := s.find(addr)
	if err != nil {
		return err
	}
	return n.start(ctx)
}

func (s *SentinelDaemon) do(addr string, what func(*node)) error {
	n, err := s.find(addr)
	if err == nil {
		what(n)
	}
	return err
}

func (s *SentinelDaemon) find(addr string) (*node, error) {
	if n, ok := s.sentinels[addr]; ok {
		return n, nil
	}
	return s.servers.get(addr)
}

// Sentinels are the addresses of the sentinels.
func (s *SentinelDaemon) Sentinels() []string { return s.sentinels.addrs() }

// Log is the end of every server's log.
func (s *SentinelDaemon) Log() string { return s.servers.log() + s.sentinels.log() }

// Stop ends the servers and removes everything.
func (s *SentinelDaemon) Stop() error {
	s.sentinels.stop() // first, so that none of them mourns
	s.servers.stop()
	return s.folder.remove()
}
