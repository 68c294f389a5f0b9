package botguard

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/pow"
)

// site is a real Caddy in this process, before a real Redis, with a clock that
// tests move.
type site struct {
	t     testing.TB
	redis *devstack.RedisServer
	clock *clock.Fake
	keys  string
	url   string
}

// passedOn is what stands behind botguard: it says that a request came through,
// with what earned it.
const passedOn = `respond "in {http.vars.botguard.proof}" 200`

// start runs a site with the lines of a botguard block.
func start(t testing.TB, block string) *site {
	t.Helper()
	s := newSite(t)
	s.load(s.caddyfile("", "botguard {\n"+block+"\n}\n"+passedOn))
	return s
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, redis: devstack.Redis(t), clock: clock.NewFake(time.Now()), keys: t.TempDir()}
	wall := wallClock
	wallClock = s.clock
	t.Cleanup(func() { wallClock = wall })
	caddytest.StopAfter(t)
	return s
}

func (s *site) caddyfile(servers, body string) string {
	return "{\nadmin off\npersist_config off\nlog {\nlevel ERROR\n}\n" + servers +
		"tickets {\nredis " + s.redis.URL() + "\nkeys " + s.keys + "\n}\n}\nhttp://:0 {\nbind 127.0.0.1\n" + body + "\n}\n"
}

func (s *site) load(caddyfile string) {
	s.t.Helper()
	caddytest.MustLoad(s.t, caddyfile)
	s.url = caddytest.URL(s.t)
}

func (s *site) app() *ticketsapp.App {
	s.t.Helper()
	return caddytest.App[*ticketsapp.App](s.t, ticketsapp.Name)
}

// metric sums the samples of a metric whose labels are as given.
func (s *site) metric(name string, labels map[string]string) float64 {
	s.t.Helper()
	sum, _ := caddytest.Metric(s.t, "tickets_botguard_"+name, labels)
	return sum
}

// browser is a client with its own cookies and its own network.
type browser struct {
	s    *site
	http *http.Client
}

// from makes a browser at a loopback address, which is its /24.
func (s *site) from(address string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &browser{s: s, http: &http.Client{Transport: transport, Jar: jar}}
}

func (b *browser) forget() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.s.t.Fatal(err)
	}
	b.http.Jar = jar
}

// reply is an answer, read to its end.
type reply struct {
	status    int
	header    http.Header
	body      string
	Code      string
	Challenge *challenge
}

func (b *browser) do(method, path string, header map[string]string, body string) reply {
	b.s.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, b.s.url+path, strings.NewReader(body))
	if err != nil {
		b.s.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	answer, err := caddytest.Ask(b.http, req)
	if err != nil {
		b.s.t.Fatal(err)
	}
	got := reply{status: answer.Status, header: answer.Header, body: answer.Body}
	_ = json.Unmarshal([]byte(got.body), &got) // not every reply is JSON
	return got
}

const joinPath = "/.waitroom/arena/join"

// join posts a join, with an answer unless it is empty.
func (b *browser) join(answer string) reply {
	b.s.t.Helper()
	header := map[string]string{"Accept": "application/json"}
	if answer != "" {
		header[headerAnswer] = answer
	}
	return b.do(http.MethodPost, joinPath, header, "")
}

// solved asks for a challenge and solves it.
func (b *browser) solved() string {
	b.s.t.Helper()
	got := b.join("")
	if got.Challenge == nil {
		b.s.t.Fatalf("no challenge: %d %s", got.status, got.body)
	}
	answer, err := pow.Solve(context.Background(), got.Challenge.Token)
	if err != nil {
		b.s.t.Fatal(err)
	}
	return answer
}

// form posts what a browser without JavaScript posts.
func (b *browser) form(path, answer string) reply {
	b.s.t.Helper()
	fields := url.Values{}
	if answer != "" {
		fields.Set(fieldAnswer, answer)
	}
	return b.do(http.MethodPost, path, map[string]string{
		"Accept": "text/html,application/xhtml+xml", "Content-Type": "application/x-www-form-urlencoded", "Origin": b.s.url,
	}, fields.Encode())
}

func (r reply) is(t testing.TB, status int, code string) {
	t.Helper()
	if r.status != status || r.Code != code {
		t.Errorf("%d %q, want %d %q: %s", r.status, r.Code, status, code, r.body)
	}
}

func (r reply) cameThrough(t testing.TB, proof string) {
	t.Helper()
	if want := "in " + proof; r.status != http.StatusOK || r.body != want {
		t.Errorf("%d %q, want it to come through as %q", r.status, r.body, want)
	}
}
