package dashboard

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	_ "github.com/caddy-tickets/caddy-tickets/caddymodule/waitroom" // the room that is shown
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// load runs an edge in this process and returns the addresses of its two sites: one
// for fans and one for the operator.
func load(t *testing.T, redis, room, operator string) (fans, ops string) {
	t.Helper()
	caddytest.MustLoad(t, "{\nadmin off\npersist_config off\nlog {\nlevel ERROR\n}\ntickets {\nredis "+redis+"\nkeys "+t.TempDir()+"\n}\n}\n"+
		"http://:0 {\nbind 127.0.0.1\nwaitroom arena {\n"+room+"\n}\nrespond inside\n}\n"+
		"http://127.0.0.2:0 {\nbind 127.0.0.2\n"+operator+"\n}\n")
	caddytest.StopAfter(t)
	return caddytest.URL(t), caddytest.URLOn(t, "127.0.0.2")
}

// seats is a seat service that says how the stock stands.
func seats(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"state":"available","capacity":500,"free":320,"held":30,"booked":150}`)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

type answer struct {
	*http.Response
	body string
}

func ask(t *testing.T, method, url string, change ...func(*http.Request)) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(request)
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{reply, string(body)}
}

// shown is what the page is told, once it holds.
func shown(t *testing.T, ops, what string, holds func(ticketsapp.Report) bool) {
	t.Helper()
	eventually.Holds(t, "the operator sees "+what, func() bool {
		got := ask(t, http.MethodGet, ops+"/rooms.json")
		var rooms []ticketsapp.Report
		if err := json.Unmarshal([]byte(got.body), &rooms); err != nil || len(rooms) != 1 {
			t.Fatalf("the numbers are %s (%v)", got.body, err)
		}
		return holds(rooms[0])
	})
}

func TestTheOperatorSeesTheRoomAndItsStock(t *testing.T) {
	redis := devstack.Redis(t)
	fans, ops := load(t, redis.URL(), "admit 300/m\nactive 1\ninventory "+seats(t)+" arena", "tickets_dashboard")
	shown(t, ops, "an open room with its stock", func(r ticketsapp.Report) bool {
		return r.Room == "arena" && r.State == "open" && r.Rate == 300 && r.RatePerSeconds == 60 && r.ActiveCap == 1 &&
			r.Inventory && r.Stock != nil && r.Stock.Booked == 150 && r.Stock.Held == 30 && r.Stock.Free == 320
	})
	for range 3 {
		joined := ask(t, http.MethodPost, fans+"/.waitroom/arena/join", func(r *http.Request) { r.Header.Set("Origin", fans) })
		if joined.StatusCode != http.StatusCreated {
			t.Fatalf("joining answers %d: %s", joined.StatusCode, joined.body)
		}
	}
	shown(t, ops, "one fan admitted and two waiting", func(r ticketsapp.Report) bool {
		return r.Waiting == 2 && r.AdmittedTotal == 1 && r.Turns == 1
	})
	arena := caddytest.App[*ticketsapp.App](t, ticketsapp.Name).Rooms()[0]
	if _, err := arena.Give(t.Context(), queue.Order{What: queue.WhatPause, By: queue.By{User: "ada", Host: "ops-1", Reason: "the site is slow"}}); err != nil {
		t.Fatal(err)
	}
	shown(t, ops, "the pause, who ordered it, and what ends it", func(r ticketsapp.Report) bool {
		n := len(r.Orders)
		return r.Held == "paused" && len(r.Notes) == 1 && r.Notes[0].Bad && strings.Contains(r.Notes[0].Text, "by ada (the site is slow)") &&
			n > 0 && r.Orders[n-1].By.User == "ada" && len(r.LogFaults) == 0
	})
	redis.Kill()
	shown(t, ops, "that Redis is away", func(r ticketsapp.Report) bool { return r.Degraded })
}

func TestThePageIsPrivateAndBringsEverythingAlong(t *testing.T) {
	_, ops := load(t, devstack.Redis(t).URL(), "admit 1/h", "tickets_dashboard\nrespond \"not the dashboard\" 404")
	page := ask(t, http.MethodGet, ops+"/")
	if page.StatusCode != http.StatusOK || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") || !strings.Contains(page.body, "<h1>Waiting rooms") {
		t.Fatalf("the page is %d %v", page.StatusCode, page.Header)
	}
	if strings.Contains(page.body, "{{") || strings.Contains(page.body, "http://") && !strings.Contains(page.body, "http://www.w3.org") {
		t.Error("the page is not filled in, or names another address")
	}
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "script-src 'sha256-", "connect-src 'self'"} {
		if policy := page.Header.Get("Content-Security-Policy"); !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s: %s", part, policy)
		}
	}
	for _, path := range []string{"/", "/rooms.json"} {
		got := ask(t, http.MethodGet, ops+path)
		if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be kept or guessed at: %v", path, got.Header)
		}
		head := ask(t, http.MethodHead, ops+path)
		if head.StatusCode != http.StatusOK || head.body != "" || head.ContentLength <= 0 {
			t.Errorf("HEAD %s: %d, %d bytes of %d", path, head.StatusCode, len(head.body), head.ContentLength)
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			if got := ask(t, method, ops+path); got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, path, got.StatusCode, got.Header.Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/other", "/rooms.json.bak", "/rooms"} {
		if got := ask(t, http.MethodGet, ops+path); got.body != "not the dashboard" {
			t.Errorf("%s is answered with %q", path, got.body)
		}
	}
}

func TestThePageIsOnlyWhereTheOperatorPutIt(t *testing.T) {
	fans, ops := load(t, devstack.Redis(t).URL(), "admit 1/h",
		"basic_auth /ops/* {\nop $2a$04$w3ZlSSDT0qu2F5/WugpW/OjN4ZOa1UcquMpucjRzu4pZ7TatLUTJa\n}\nhandle_path /ops/* {\ntickets_dashboard\n}\nrespond elsewhere")
	for _, path := range []string{"/", "/rooms.json", "/ops/rooms.json"} {
		if got := ask(t, http.MethodGet, fans+path); strings.Contains(got.body, `"activeCap"`) || strings.Contains(got.body, "<h1>Waiting rooms") {
			t.Errorf("fans are shown the operator's %s", path)
		}
	}
	if got := ask(t, http.MethodGet, ops+"/rooms.json"); got.body != "elsewhere" {
		t.Errorf("outside of its folder: %q", got.body)
	}
	for _, path := range []string{"/ops/", "/ops/rooms.json"} {
		if got := ask(t, http.MethodGet, ops+path); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s is shown without the password: %d", path, got.StatusCode)
		}
		got := ask(t, http.MethodGet, ops+path, func(r *http.Request) { r.SetBasicAuth("op", "open sesame") })
		if got.StatusCode != http.StatusOK {
			t.Errorf("%s with the password: %d", path, got.StatusCode)
		}
	}
}

func TestAWrongCaddyfileIsRefusedWithItsLine(t *testing.T) {
	for _, tt := range []struct{ lines, says string }{
		{"tickets_dashboard surplus extra", "Caddyfile:2"},
		{"tickets_dashboard {\nrefresh 1s\n}", "takes no arguments and no block"},
	} {
		_, err := caddytest.Adapt("http://:0 {\n" + tt.lines + "\n}\n")
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%q: the error does not say %q: %v", tt.lines, tt.says, err)
		}
	}
	caddytest.StopAfter(t)
	if err := caddytest.Load("{\nadmin off\npersist_config off\n}\nhttp://127.0.0.1:0 {\ntickets_dashboard\n}\n"); err == nil || !strings.Contains(err.Error(), "tickets { redis") {
		t.Errorf("without the app: %v", err)
	}
}
