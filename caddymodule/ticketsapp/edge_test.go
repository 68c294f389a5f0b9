package ticketsapp_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	_ "github.com/caddy-tickets/caddy-tickets/caddymodule/waitroom" // rooms
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// edge is a real Caddy in this process, before a real Redis, with its admin
// endpoint on a socket of its own.
type edge struct {
	t      testing.TB
	redis  *devstack.RedisServer
	keys   string
	socket string
}

func newEdge(t testing.TB) *edge {
	t.Helper()
	dir, err := os.MkdirTemp("", "tickets-admin-") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{t: t, redis: devstack.Redis(t), keys: t.TempDir(), socket: filepath.Join(dir, "admin.sock")}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	caddytest.StopAfter(t)
	return e
}

// caddyfile has the room arena, and these lines in the tickets block.
func (e *edge) caddyfile(tickets, room string) string {
	return "{\nadmin unix/" + e.socket + "\npersist_config off\ngrace_period 1s\nlog {\nlevel FATAL\n}\n" +
		"tickets {\n" + tickets + "\n}\n}\nhttp://:0 {\nbind 127.0.0.1\n" + room + "\nrespond in\n}\n"
}

// usual keeps the keys in a folder.
func (e *edge) usual(admit string) string {
	return e.caddyfile("redis "+e.redis.URL()+"\nkeys "+e.keys, "waitroom arena {\nadmit "+admit+"\n}")
}

func (e *edge) load(caddyfile string) *ticketsapp.App {
	e.t.Helper()
	caddytest.MustLoad(e.t, caddyfile)
	return e.app()
}

func (e *edge) app() *ticketsapp.App {
	e.t.Helper()
	return caddytest.App[*ticketsapp.App](e.t, ticketsapp.Name)
}

func (e *edge) until(what string, holds func(ticketsapp.Report) bool) {
	e.t.Helper()
	eventually.Holds(e.t, what, func() bool { return holds(ticketsapp.ReportOn(e.app().Rooms()[0])) })
}

// admin asks the admin endpoint.
func (e *edge) admin(method, path, body string) (int, string) {
	e.t.Helper()
	client := http.Client{Timeout: eventually.Patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", e.socket)
	}}}
	// A reload closes the endpoint of the config before, with whoever came too early.
	var resp *http.Response
	for deadline := time.Now().Add(eventually.Patience); ; {
		req, err := http.NewRequestWithContext(e.t.Context(), method, "http://localhost"+path, strings.NewReader(body))
		if err != nil {
			e.t.Fatal(err)
		}
		if resp, err = client.Do(req); err == nil {
			break
		}
		if time.Now().After(deadline) {
			e.t.Fatal(err)
		}
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

const orders = "/tickets/rooms/arena/"

func TestAnOperatorSeesAndSteersTheRooms(t *testing.T) {
	e := newEdge(t)
	e.load(e.usual("500/m"))
	e.until("the settings are in force", func(r ticketsapp.Report) bool { return r.Rate == 500 && r.State == string(room.Open) })
	status, body := e.admin(http.MethodGet, "/tickets/rooms", "")
	var reports []ticketsapp.Report
	if err := json.Unmarshal([]byte(body), &reports); err != nil || status != http.StatusOK || len(reports) != 1 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if r := reports[0]; r.Room != "arena" || r.RatePerSeconds != 60 || r.Degraded {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct {
		order, body string
		acts        func(ticketsapp.Report) bool
	}{
		{"pause", "", func(r ticketsapp.Report) bool { return r.State == string(room.Paused) }},
		{"pause", "{}", func(r ticketsapp.Report) bool { return r.State == string(room.Paused) }}, // again
		{"resume", "{}", func(r ticketsapp.Report) bool { return r.State == string(room.Open) }},
		{"message", `{"message":"Doors open at ten"}`, func(r ticketsapp.Report) bool { return r.Message == "Doors open at ten" }},
		{"message", `{"message":""}`, func(r ticketsapp.Report) bool { return r.Message == "" }},
		{"rate", `{"rate":"7/s"}`, func(r ticketsapp.Report) bool { return r.Rate == 7 && r.RatePerSeconds == 1 && r.SettingsDiffer }},
	} {
		if status, body := e.admin(http.MethodPost, orders+c.order, c.body); status != http.StatusNoContent {
			t.Fatalf("%s %s: %d %s", c.order, c.body, status, body)
		}
		e.until(c.order+" "+c.body, c.acts)
	}
	e.load(e.usual("600/m")) // the last word is the config's
	e.until("the file's rate is back", func(r ticketsapp.Report) bool { return r.Rate == 600 && !r.SettingsDiffer })
}

func TestAnOrderThatMakesNoSenseIsRefused(t *testing.T) {
	e := newEdge(t)
	e.load(e.usual("500/m"))
	e.until("the settings are in force", func(r ticketsapp.Report) bool { return r.Rate == 500 })
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/tickets/rooms", "", http.StatusMethodNotAllowed, "use GET"},
		{"GET", orders + "pause", "", http.StatusMethodNotAllowed, "POST"},
		{"POST", "/tickets/rooms/club/pause", "", http.StatusNotFound, `no room \"club\"`},
		{"POST", orders, "", http.StatusBadRequest, "pause, resume, message, rate or beacon"},
		{"POST", orders + "explode", "", http.StatusBadRequest, "pause, resume, message, rate or beacon"},
		{"POST", orders + "pause/now", "", http.StatusBadRequest, "pause, resume, message, rate or beacon"},
		{"POST", orders + "rate", `{"rate":"fast"}`, http.StatusBadRequest, "20/s, 500/m"},
		{"POST", orders + "rate", ``, http.StatusBadRequest, "20/s, 500/m"},
		{"POST", orders + "rate", `{"rate":`, http.StatusBadRequest, "reading the order"},
		{"POST", orders + "rate", `{"rats":"5/s"}`, http.StatusBadRequest, "unknown field"},
		{"POST", orders + "message", `{"message":"` + strings.Repeat("x", 501) + `"}`, http.StatusBadRequest, "500"},
		{"POST", orders + "message", `{"message":"` + strings.Repeat("x", 10_000) + `"}`, http.StatusBadRequest, "too large"},
	} {
		status, body := e.admin(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %.40s: %d %s", c.method, c.path, c.body, status, body)
		}
	}
	e.redis.Kill()
	if status, body := e.admin(http.MethodPost, orders+"pause", ""); status != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %d %s", status, body)
	}
	e.load("{\nadmin unix/" + e.socket + "\npersist_config off\ntickets {\nredis " + e.redis.URL() + "\n}\n}\n")
	caddytest.MustLoad(t, "{\nadmin unix/"+e.socket+"\npersist_config off\n}\n")
	if status, body := e.admin(http.MethodGet, "/tickets/rooms", ""); status != http.StatusNotFound || !strings.Contains(body, "no tickets") {
		t.Errorf("without the app: %d %s", status, body)
	}
}

func TestCaddyfilesBecomeTheirJSON(t *testing.T) { caddytest.Golden(t) }

func TestMistakesNameTheirLineAndTheMend(t *testing.T) {
	for source, want := range map[string]string{
		"{\ntickets\n}":                                                      `redis redis://127.0.0.1:6379/0`,
		"{\ntickets {\n}\n}":                                                 `redis redis://127.0.0.1:6379/0`,
		"{\ntickets on {\n}\n}":                                              "Caddyfile:2",
		"{\ntickets {\nredis\n}\n}":                                          "Caddyfile:3",
		"{\ntickets {\nredis redis://a b\n}\n}":                              "Caddyfile:3",
		"{\ntickets {\nredis redis://a\nredis redis://b\n}\n}":               "redis is set twice",
		"{\ntickets {\nredis redis://a\nkeys\n}\n}":                          "Caddyfile:4",
		"{\ntickets {\nredis redis://a\nspeed 5\n}\n}":                       "tickets knows redis and keys",
		"{\ntickets {\nredis redis://a\n}\ntickets {\nredis redis://b\n}\n}": "put everything into one",
		"{\ntickets {\nredis redis://u:hunter2@h/x\n}\n}":                    "Caddyfile:3",
		"{\ntickets {\nredis h:6379\n}\n}":                                   "the Redis address needs a scheme, such as redis://127.0.0.1:6379/0",
	} {
		_, err := caddytest.Adapt(source + "\n")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", source, err)
		}
	}
}

func TestAnAddressThatCannotBeIsRefusedWithoutItsPassword(t *testing.T) {
	e := newEdge(t)
	for _, address := range []string{"redis://u:hunter2@h/x/y", "gopher://u:hunter2@h", "{env.TICKETS_NOWHERE}"} {
		err := caddytest.Load(e.caddyfile("redis "+address+"\nkeys "+e.keys, ""))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
	t.Setenv("TICKETS_SOMEWHERE", e.redis.URL())
	e.load(e.caddyfile("redis {env.TICKETS_SOMEWHERE}\nkeys "+e.keys, "waitroom arena {\nadmit 1/s\n}"))
	e.until("Redis is reached", func(r ticketsapp.Report) bool { return r.Rate == 1 && !r.Degraded })
}

func TestEveryNumberAnOperatorWatchesIsMeasured(t *testing.T) {
	e := newEdge(t)
	for range 2 { // and is there after a reload
		app := e.load(e.usual("500/m"))
		app.Count("arena", "join", "fresh")
	}
	e.until("the settings are in force", func(r ticketsapp.Report) bool { return r.Rate == 500 })
	for _, name := range []string{
		"waiting", "turns", "active", "active_cap", "rate_per_second", "admitted_total", "no_shows_total", "degraded",
		"settings_differ", "parked", "streams", "lines_total", "stuck_total", "requests_total",
	} {
		if _, measured := caddytest.Metric(t, "tickets_room_"+name, nil); !measured {
			t.Errorf("%s is not measured", name)
		}
	}
	if got, _ := caddytest.Metric(t, "tickets_room_requests_total", nil); got != 2 {
		t.Errorf("requests went on from %v", got)
	}
	if got, _ := caddytest.Metric(t, "tickets_room_rate_per_second", nil); got < 8.3 || got > 8.4 {
		t.Errorf("the rate is %v per second", got)
	}
}
