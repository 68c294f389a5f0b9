package main

import (
	"encoding/json"
	"errors"
	"os/user"
	"strings"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

func TestTheLogSaysWhoOrderedWhatAndWhy(t *testing.T) {
	redis := devstack.Redis(t)
	config := runningEdge(t, redis)
	run := func(args ...string) string {
		t.Helper()
		return must(t, append(args, "--config", config)...)
	}
	roomIs(t, config, "open at its file's rate", func(r ticketsapp.Report) bool { return len(r.Orders) == 2 })
	run("room", "pause", "arena", "--reason", "the site is slow")
	run("room", "message", "arena", "Back at ten.\x1b[2J")
	run("room", "rate", "arena", "20/s")
	run("room", "resume", "arena")

	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	text := run("room", "log", "arena")
	at := 0
	for _, want := range []string{
		"began", "settings", "active 20", "admit 500/m", "by edge ", "pause", "paused true", "by " + me.Username + " at ", "from 127.0.0.1:", "through edge ", `because "the site is slow"`,
		`"Back at ten.\x1b[2J"`, "rate", "admit 500/m → 20/s", "resume", "paused true → false", "The chain holds. It ends with entry 6, hash ",
	} {
		found := strings.Index(text[at:], want)
		if found < 0 {
			t.Fatalf("the log does not say %q, or not in order:\n%s", want, text)
		}
		at += found
	}
	if strings.Contains(text, "\x1b") {
		t.Error("a message steers the terminal of whoever reads the log")
	}
	if short := run("room", "log", "arena", "--last", "1"); strings.Contains(short, "pause,") || !strings.HasPrefix(short, "6 ") {
		t.Errorf("the last order is\n%s", short)
	}

	var said struct {
		Orders []struct {
			Number     int
			What, Hash string
			Prev       string
			By         struct{ User, Host, Reason string }
		}
		Faults []string
	}
	if err := json.Unmarshal([]byte(run("room", "log", "arena", "--json")), &said); err != nil {
		t.Fatal(err)
	}
	if len(said.Orders) != 6 || len(said.Faults) != 0 || said.Orders[2].By.Reason != "the site is slow" || said.Orders[2].By.User != me.Username || said.Orders[3].Prev != said.Orders[2].Hash {
		t.Errorf("as JSON: %+v", said)
	}

	// Somebody who can reach Redis changes who it was.
	rdb := redis.Client()
	key := rediskey.For("arena").Log
	line, err := rdb.LIndex(t.Context(), key, 2).Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := rdb.LSet(t.Context(), key, 2, strings.Replace(line, me.Username, "nobody", 1)).Err(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"room", "log", "arena"}, {"room", "log", "arena", "--last", "1"}, {"room", "log", "arena", "--json"}} {
		text, err := invoke(t, append(args, "--config", config)...)
		if !errors.Is(err, errLogBroken) || !strings.Contains(text, "entry 3 was changed") || strings.Contains(text, "The chain holds") {
			t.Errorf("%v: it does not say where the chain is broken (%v):\n%s", args, err, text)
		}
	}
}

func TestTheLogOfNoRoomIsRefused(t *testing.T) {
	redis := devstack.Redis(t)
	config := runningEdge(t, redis)
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"room", "log", "nowhere"}, `no room "nowhere"`},
		{[]string{"room", "pause", "arena", "--reason", strings.Repeat("r", 301)}, "301 bytes, more than 300"},
		{[]string{"room", "message", "arena", strings.Repeat("m", 501)}, "501 bytes, more than 500"},
	} {
		if _, err := invoke(t, append(tt.args, "--config", config)...); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%.60q: the error does not say %q: %v", tt.args, tt.says, err)
		}
	}
	redis.Kill()
	if _, err := invoke(t, "room", "log", "arena", "--config", config); err == nil {
		t.Error("a log that nobody has is shown")
	}
}
