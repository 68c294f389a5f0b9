package fleet

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
)

const (
	arena = "arena"
	// The file's rate and the operator's. The second is the higher, so that it bounds
	// every admission, whichever is in force.
	fileRate, orderedRate = 8, 10
)

// edges are three edges of one sale.
type edges []*edge

// edge is one `caddy-tickets run`.
type edge struct {
	t         *testing.T
	dir       string
	fans      string // its address for fans, http://host:port
	admin     string
	process   *devstack.Process
	caddyfile string
}

// startEdges starts three edges on the Redis at a URL. They share their keys and
// nothing else.
func startEdges(t *testing.T, redis string) edges {
	t.Helper()
	keys := t.TempDir()
	addresses := freeAddresses(t, 6)
	var all edges
	for i := range 3 {
		e := &edge{t: t, dir: t.TempDir(), fans: "http://" + addresses[2*i], admin: addresses[2*i+1]}
		e.caddyfile = filepath.Join(e.dir, "Caddyfile")
		text := fmt.Sprintf(`{
	admin %s
	persist_config off
	auto_https off
	tickets {
		redis %s
		keys %s
	}
}
%s {
	bind 127.0.0.1
	waitroom %s {
		admit %d/s
		active 100000
		session 10m
		claim_within 5m
		abandon_after 5m
	}
	respond "inside {http.request.header.Waitroom-Visitor}"
}
`, e.admin, redis, keys, e.fans, arena, fileRate)
		if err := os.WriteFile(e.caddyfile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		e.start()
		t.Cleanup(e.end)
		all = append(all, e)
	}
	for _, e := range all {
		e.ready()
	}
	return all
}

func (e *edge) start() {
	e.t.Helper()
	p, err := devstack.Start(devstack.Command{
		Program: binary, Args: []string{"run", "--config", e.caddyfile, "--adapter", "caddyfile"},
		Env: []string{"XDG_DATA_HOME=" + e.dir, "XDG_CONFIG_HOME=" + e.dir, "HOME=" + e.dir},
		Log: filepath.Join(e.dir, "edge.log"), OnDeath: syscall.SIGKILL,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.process = p
}

// ready waits until the edge knows the room from Redis.
func (e *edge) ready() {
	e.t.Helper()
	eventually.Holds(e.t, "the edge at "+e.fans+" serves", func() bool {
		r, err := e.report()
		return err == nil && !r.Degraded && r.Rate > 0
	})
}

func (e *edge) end() {
	e.process.Stop(syscall.SIGTERM)
	if e.t.Failed() {
		e.t.Logf("the end of the log of %s:\n%s", e.fans, e.process.Tail())
	}
}

// report is what the edge tells its operator about the room.
type report struct {
	State    string  `json:"state"`
	Degraded bool    `json:"degraded"`
	Waiting  int     `json:"waiting"`
	Rate     int     `json:"rate"`
	Message  string  `json:"message"`
	Admitted int     `json:"admittedTotal"`
	Per      float64 `json:"ratePerSeconds"`
}

func (e *edge) report() (report, error) {
	reply, err := http.Get("http://" + e.admin + "/tickets/rooms")
	if err != nil {
		return report{}, err
	}
	defer func() { _ = reply.Body.Close() }()
	var rooms []report
	if err := json.NewDecoder(reply.Body).Decode(&rooms); err != nil || len(rooms) != 1 {
		return report{}, fmt.Errorf("%d rooms, %w", len(rooms), err)
	}
	return rooms[0], nil
}

// order gives an operator's order at this edge, as `room <what>` does.
func (e *edge) order(args ...string) {
	e.t.Helper()
	args = append([]string{"room"}, args...)
	args = append(args, "--address", e.admin)
	out, err := exec.Command(binary, args...).CombinedOutput()
	if err != nil {
		e.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// freeAddresses are on loopback, all different, and held until all are chosen.
// They lie below the ports that outgoing connections get, and below those of
// package devstack: an edge that is started again must find its own free.
func freeAddresses(t *testing.T, n int) (out []string) {
	t.Helper()
	for range 100 * n {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(4000+rand.IntN(6000)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		defer func() { _ = l.Close() }()
		if out = append(out, address); len(out) == n {
			return out
		}
	}
	t.Fatal("there are no free ports")
	return nil
}
