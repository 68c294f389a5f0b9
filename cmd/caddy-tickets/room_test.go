package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// runningEdge runs an edge in this process and returns its config file, which is all
// that an operator needs to give.
func runningEdge(t *testing.T, redis *devstack.RedisServer) (config string) {
	t.Helper()
	return runningEdgeWith(t, redis, "http://:0", "admit 500/m\nactive 20")
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

// runningEdgeWith is runningEdge with a site and a room of the test's own.
func runningEdgeWith(t *testing.T, redis *devstack.RedisServer, site, room string) (config string) {
	t.Helper()
	admin := freeAddress(t)
	text := "{\nadmin " + admin + "\npersist_config off\nlog {\nlevel ERROR\n}\ntickets {\nredis " + redis.URL() + "\nkeys " + t.TempDir() + "\n}\n}\n" +
		site + " {\nbind 127.0.0.1\nwaitroom arena {\n" + room + "\n}\nrespond inside\n}\n"
	config = filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": config})
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(adapted, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return config
}

// roomIs waits until the edge reports a room as it should be.
func roomIs(t *testing.T, config, what string, holds func(ticketsapp.Report) bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var rooms []ticketsapp.Report
		if err := json.Unmarshal([]byte(must(t, "room", "status", "--json", "--config", config)), &rooms); err != nil || len(rooms) != 1 {
			t.Fatalf("the status is %+v (%v)", rooms, err)
		}
		if holds(rooms[0]) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the room never is %s: %+v", what, rooms[0])
		}
	}
}

func TestAnOperatorSteersARoom(t *testing.T) {
	redis := devstack.Redis(t)
	config := runningEdge(t, redis)
	order := func(args ...string) {
		t.Helper()
		must(t, append(append([]string{"room"}, args...), "--config", config)...)
	}

	roomIs(t, config, "open at its file's rate", func(r ticketsapp.Report) bool {
		return r.Room == "arena" && r.State == "open" && r.Rate == 500 && r.RatePerSeconds == 60
	})
	order("pause", "arena")
	roomIs(t, config, "paused", func(r ticketsapp.Report) bool { return r.State == "paused" })
	order("message", "arena", "We are back in ten minutes.")
	roomIs(t, config, "told a message", func(r ticketsapp.Report) bool { return r.Message == "We are back in ten minutes." })
	order("message", "arena", "")
	order("rate", "arena", "20/s")
	order("resume", "arena")
	roomIs(t, config, "open at another rate, without a message", func(r ticketsapp.Report) bool {
		return r.State == "open" && r.Rate == 20 && r.RatePerSeconds == 1 && r.Message == ""
	})
	table := must(t, "room", "status", "--config", config)
	for _, want := range []string{"arena", "open", "20/s", "admit is 20/s (here 500/m)", "The last order was resume"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not say %q:\n%s", want, table)
		}
	}

	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"room", "pause", "nowhere"}, `no room "nowhere"`},
		{[]string{"room", "rate", "arena", "often"}, "20/s"},
	} {
		if _, err := invoke(t, append(tt.args, "--config", config)...); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: the error does not say %q: %v", strings.Join(tt.args, " "), tt.says, err)
		}
	}

	redis.Kill()
	if _, err := invoke(t, "room", "pause", "arena", "--config", config); err == nil {
		t.Error("an order that reached nobody was acknowledged")
	}
	roomIs(t, config, "degraded", func(r ticketsapp.Report) bool { return r.Degraded })
	if table := must(t, "room", "status", "--config", config); !strings.Contains(table, "Redis is away") {
		t.Errorf("the table does not say that Redis is away:\n%s", table)
	}
}
