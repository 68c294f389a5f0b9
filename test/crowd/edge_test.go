package crowd

import (
	"encoding/json"
	"fmt"
	"io"
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

const arena = "arena"

// edge is one `caddy-tickets run`.
type edge struct {
	t       *testing.T
	dir     string
	address string // for fans, host:port
	admin   string
	process *devstack.Process
	file    caddyfile
}

// caddyfile is what differs between the edges of these tests.
type caddyfile struct {
	redis, keys string
	site        string // what is guarded
	admit       string
	room        string // further options
}

func (e *edge) text() string {
	return fmt.Sprintf(`{
	admin %s
	persist_config off
	auto_https off
	tickets {
		redis %s
		keys %s
	}
}
http://%s {
	bind 127.0.0.1
	waitroom %s {
		admit %s
		queue all
		active 200000
		session 30m
		claim_within %s
		abandon_after 10m
		%s
	}
	reverse_proxy %s
}
`, e.admin, e.file.redis, e.file.keys, e.address, arena, e.file.admit, claimWithin, e.file.room, e.file.site)
}

// newEdge prepares an edge that start runs.
func newEdge(t *testing.T, file caddyfile) *edge {
	t.Helper()
	addresses := freeAddresses(t, 2)
	e := &edge{t: t, dir: t.TempDir(), address: addresses[0], admin: addresses[1], file: file}
	t.Cleanup(func() {
		if e.process == nil {
			return
		}
		e.process.Stop(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", e.address, e.process.Tail())
		}
	})
	return e
}

func startEdge(t *testing.T, file caddyfile) *edge {
	t.Helper()
	e := newEdge(t, file)
	e.start()
	return e
}

// start returns when the edge knows the room from Redis.
func (e *edge) start() {
	e.t.Helper()
	path := filepath.Join(e.dir, "Caddyfile")
	if err := os.WriteFile(path, []byte(e.text()), 0o600); err != nil {
		e.t.Fatal(err)
	}
	p, err := devstack.Start(devstack.Command{
		Program: binary, Args: []string{"run", "--config", path, "--adapter", "caddyfile"},
		Env: []string{"XDG_DATA_HOME=" + e.dir, "XDG_CONFIG_HOME=" + e.dir, "HOME=" + e.dir},
		Log: filepath.Join(e.dir, "edge.log"), OnDeath: syscall.SIGKILL,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.process = p
	eventually.Within(e.t, patience, "the edge at "+e.address+" serves", func() bool {
		r, err := e.report()
		return err == nil && !r.Degraded && r.Rate > 0
	})
}

// reload puts another rate into the file and loads it, as `caddy-tickets reload` does.
func (e *edge) reload(admit string) {
	e.t.Helper()
	e.file.admit = admit
	reply, err := http.Post("http://"+e.admin+"/load", "text/caddyfile", strings.NewReader(e.text()))
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	if body, _ := io.ReadAll(reply.Body); reply.StatusCode != http.StatusOK {
		e.t.Fatalf("reloading: %s\n%s", reply.Status, body)
	}
}

// report is what the edge tells its operator about the room.
type report struct {
	State    string `json:"state"`
	Degraded bool   `json:"degraded"`
	Waiting  int    `json:"waiting"`
	Rate     int    `json:"rate"`
	Message  string `json:"message"`
	Streams  int    `json:"streams"`
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

// says waits for something that the edge is to tell its operator.
func (e *edge) says(what string, holds func(report) bool) {
	e.t.Helper()
	eventually.Within(e.t, patience, what, func() bool {
		r, err := e.report()
		return err == nil && holds(r)
	})
}

// order gives an operator's order at this edge, as `room <what>` does.
func (e *edge) order(args ...string) {
	e.t.Helper()
	args = append(append([]string{"room"}, args...), "--address", e.admin)
	if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
		e.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// freeAddresses are on loopback, all different, and held until all are chosen. They
// lie below the ports that outgoing connections get: thousands of these are here.
func freeAddresses(t *testing.T, n int) (out []string) {
	t.Helper()
	for range 100 * n {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(10_000)))
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
