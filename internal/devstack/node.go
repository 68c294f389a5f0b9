package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// node is one server of a Sentinel or a Cluster set-up. Such servers find each
// other by address and port, so unlike a RedisDaemon it listens on loopback.
type node struct {
	program string
	args    []string // without port and folder
	port    int
	dir     string // holds its data, its configuration and its log
	user    *syscall.Credential

	mu      sync.Mutex
	process *Process // guarded by mu; nil while down
}

// newNode makes the folder of a node, and nothing else.
func newNode(program, parent string, port int, user *syscall.Credential, args ...string) (*node, error) {
	n := &node{program: program, args: args, port: port, user: user, dir: filepath.Join(parent, strconv.Itoa(port))}
	return n, own(user, n.dir, 0o700)
}

func (n *node) addr() string { return net.JoinHostPort(loopback, strconv.Itoa(n.port)) }

// start starts the server on what its folder holds. A running one is left alone.
func (n *node) start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		return nil
	}
	args := append([]string{}, n.args...)
	args = append(args, "--port", strconv.Itoa(n.port), "--bind", loopback, "--dir", n.dir, "--daemonize", "no")
	p, err := Start(Command{Program: n.program, Args: args, Log: n.logPath(), OnDeath: syscall.SIGTERM, user: n.user})
	if err != nil {
		return err
	}
	if err := p.AwaitReady(ctx, func() bool { return answersAs(p.pid, n.addr()) }); err != nil {
		return err
	}
	n.process = p
	return nil
}

func (n *node) logPath() string { return filepath.Join(n.dir, "server.log") }

func (n *node) log() string { return (&Process{command: Command{Log: n.logPath()}}).Tail() }

// pid is 0 while the server is down.
func (n *node) pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil {
		return 0
	}
	return n.process.pid
}

// kill ends the server at once, as a power cut would.
func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		n.process.Kill()
		n.process = nil
	}
}

func (n *node) signal(sig syscall.Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil {
		n.process.Signal(sig)
	}
}

// nodes are the servers of one set-up, by address.
type nodes map[string]*node

func (all nodes) get(addr string) (*node, error) {
	if n, ok := all[addr]; ok {
		return n, nil
	}
	return nil, fmt.Errorf("no server of this set-up listens on %s", addr)
}

// addrs are their addresses, in a fixed order.
func (all nodes) addrs() []string { return slices.Sorted(maps.Keys(all)) }

// stop ends them all. Nothing of their data is needed any more, so none is asked
// to write it down, and a paused one cannot hold this up.
func (all nodes) stop() {
	var stopping sync.WaitGroup
	for _, n := range all {
		stopping.Go(n.kill)
	}
	stopping.Wait()
}

func (all nodes) log() string {
	var out string
	for addr, n := range all {
		out += "--- " + addr + "\n" + n.log() + "\n"
	}
	return out
}

const (
	loopback = "127.0.0.1"
	// Ports are picked below those that the kernel gives to outgoing connections
	// (from 32768 on), and so are the cluster's own, which lie busOffset above.
	lowestPort, highestPort = 10_000, 22_000
	busOffset               = 10_000
	// portTries is how often a set-up is begun anew because somebody else took one
	// of its ports between the look and the start.
	portTries = 5
)

// freePorts picks n ports that are free, and free again busOffset above.
func freePorts(n int) ([]int, error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		if tries > 100*n {
			return nil, errors.New("finding free ports: there are none")
		}
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		low, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		held = append(held, low)
		high, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port+busOffset)))
		if err != nil {
			continue
		}
		held, ports = append(held, high), append(ports, port)
	}
	return ports, nil
}

// onFreePorts builds a set-up on n free ports, and once more on others when that
// failed because somebody else was quicker to take one.
func onFreePorts(n int, build func(ports []int) error) error {
	var err error
	for range portTries {
		var ports []int
		if ports, err = freePorts(n); err != nil {
			return err
		}
		if err = build(ports); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
	}
	return err
}

// asking opens a client that asks one server one thing, and gives up soon.
func asking(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, DialerRetries: 1, PoolSize: 1, DisableIdentity: true, Protocol: 2,
		DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second, ContextTimeoutEnabled: true,
	})
}

// answersAs says whether the server that listens there is the process with this
// pid, and not somebody else who was quicker to take the port.
func answersAs(pid int, addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("INFO server\r\n")); err != nil {
		return false
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "process_id:"); ok {
			return id == strconv.Itoa(pid)
		}
	}
	return false
}

// await polls until so, within startWithin.
func await(ctx context.Context, what string, so func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(2 * pollEvery)
	defer tick.Stop()
	for !so(ctx) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}

// replicating are the settings of every server that has replicas or is one: a
// replica is in step within a moment of its start, and notices a dead master.
var replicating = []string{
	"--save", "", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
}

// inStep says whether the server is a replica that has all its master has.
func inStep(ctx context.Context, addr string) bool {
	role := roleOf(ctx, addr)
	return len(role) >= 4 && role[0] == "slave" && role[3] == "connected"
}

// isMaster says whether the server calls itself a master.
func isMaster(ctx context.Context, addr string) bool {
	role := roleOf(ctx, addr)
	return len(role) > 0 && role[0] == "master"
}

// masterOf is whom the server replicates; empty for a master.
func masterOf(ctx context.Context, addr string) string {
	if role := roleOf(ctx, addr); len(role) >= 4 && role[0] == "slave" {
		return net.JoinHostPort(fmt.Sprint(role[1]), fmt.Sprint(role[2]))
	}
	return ""
}

// roleOf is empty for a server that does not answer.
func roleOf(ctx context.Context, addr string) []any {
	rdb := asking(addr)
	defer func() { _ = rdb.Close() }()
	role, _ := rdb.Do(ctx, "ROLE").Slice()
	return role
}

// startAll begins the servers, and ends those that did begin when one does not.
func (all nodes) startAll(ctx context.Context) error {
	for _, n := range all {
		if err := n.start(ctx); err != nil {
			all.stop()
			return err
		}
	}
	return nil
}

// groundFor finds what a set-up of several servers needs: the program, the user
// that runs it, and a folder of its own.
func groundFor(program string) (path string, user *syscall.Credential, f *folder, err error) {
	if path, err = findProgram(program, program); err != nil {
		return "", nil, nil, err
	}
	if user, err = unprivileged("redis"); err != nil {
		return "", nil, nil, err
	}
	if f, err = newFolder(); err != nil {
		return "", nil, nil, err
	}
	if err := own(user, f.path, 0o755); err != nil {
		return "", nil, nil, errors.Join(err, f.remove())
	}
	return path, user, f, nil
}
