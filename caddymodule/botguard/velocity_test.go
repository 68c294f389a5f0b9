package botguard

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
)

const claimPath = "/.waitroom/arena/claim"

func TestAJoinAboveTheLimitIsAskedToWait(t *testing.T) {
	s := start(t, "challenge off\nvelocity join {botguard.prefix} 3 1m")
	b := s.from("127.0.1.1")
	for range 3 {
		b.join("").cameThrough(t, "")
	}
	got := b.join("")
	got.is(t, http.StatusTooManyRequests, "too-many-requests")
	if seconds, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
	}
	s.from("127.0.1.99").join("").is(t, http.StatusTooManyRequests, "too-many-requests") // the same /24
	s.from("127.0.2.1").join("").cameThrough(t, "")
	b.do(http.MethodPost, claimPath, nil, "").cameThrough(t, "")
	page := b.form(joinPath, "")
	if page.status != http.StatusTooManyRequests || page.header.Get("Retry-After") == "" || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
		t.Errorf("a form: %d %s", page.status, page.body)
	}
}

func TestClaimsHaveTheirOwnLimit(t *testing.T) {
	s := start(t, "velocity claim {botguard.prefix} 2 1m")
	b := s.from("127.0.1.1")
	for range 2 {
		b.do(http.MethodPost, claimPath, nil, "").cameThrough(t, "")
	}
	b.do(http.MethodPost, claimPath, nil, "").is(t, http.StatusTooManyRequests, "too-many-requests")
}

// A join is two requests, and 30 a minute must mean 30 joins.
func TestOnlyWhatGoesOnCounts(t *testing.T) {
	s := start(t, "velocity join {botguard.prefix} 2 1m")
	b := s.from("127.0.1.1")
	for range 10 {
		b.join("").is(t, http.StatusForbidden, "challenge-required")
	}
	answer := b.solved()
	b.join(answer).cameThrough(t, "solved")
	b.join(answer).cameThrough(t, "solved")
	b.join(answer).is(t, http.StatusTooManyRequests, "too-many-requests")
}

func TestADeviceIsCountedWhereverItIs(t *testing.T) {
	s := start(t, "velocity join {botguard.device} 2 1m")
	here, there := s.from("127.0.1.1"), s.from("127.0.2.1")
	answer := here.solved()
	there.http.Jar = here.http.Jar
	here.join(answer).cameThrough(t, "solved")
	there.join(answer).cameThrough(t, "solved")
	there.join(answer).is(t, http.StatusTooManyRequests, "too-many-requests")
	other := s.from("127.0.1.1")
	other.join(other.solved()).cameThrough(t, "solved")
}

// Dropping the cookie is not the way around a limit by device.
func TestADeviceWithoutACookieIsCountedByNetwork(t *testing.T) {
	s := start(t, "challenge off\nvelocity join {botguard.device} 2 1m")
	for range 2 {
		s.from("127.0.1.1").join("").cameThrough(t, "")
	}
	s.from("127.0.1.2").join("").is(t, http.StatusTooManyRequests, "too-many-requests")
	s.from("127.0.2.1").join("").cameThrough(t, "")
}

// T-20: what a client says about its address is not believed.
func TestT20ForwardingHeadersOfClientsAreNotBelieved(t *testing.T) {
	s := start(t, "challenge off\nvelocity join {botguard.prefix} 3 1m")
	b := s.from("127.0.1.1")
	var got []int
	for n := range 5 {
		got = append(got, b.do(http.MethodPost, joinPath, map[string]string{
			"X-Forwarded-For": fmt.Sprintf("198.51.%d.1", n), "X-Real-Ip": fmt.Sprintf("198.51.%d.1", n), "Forwarded": fmt.Sprintf("for=198.51.%d.1", n),
		}, "").status)
	}
	if !slices.Equal(got, []int{200, 200, 200, 429, 429}) {
		t.Errorf("%v", got)
	}
}

const strict = "servers {\ntrusted_proxies static 127.0.0.0/8\ntrusted_proxies_strict\n}\n"

// T-21: behind a proxy that appends, the address is the one that the proxy saw.
func TestT21BehindAProxyTheAddressIsTheOneItSaw(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile(strict, "botguard {\nchallenge off\nvelocity join {botguard.prefix} 3 1m\n}\n"+passedOn))
	b := s.from("127.0.1.1")
	var got []int
	for n := range 5 {
		got = append(got, b.do(http.MethodPost, joinPath, map[string]string{"X-Forwarded-For": fmt.Sprintf("198.51.%d.1, 203.0.113.7", n)}, "").status)
	}
	if !slices.Equal(got, []int{200, 200, 200, 429, 429}) {
		t.Errorf("%v", got)
	}
}

func TestT21TrustedProxiesWithoutStrictDoNotStart(t *testing.T) {
	s := newSite(t)
	for _, servers := range []string{
		"servers {\ntrusted_proxies static 127.0.0.0/8\n}\n",
		"servers {\ntrusted_proxies_unix\n}\n",
	} {
		err := caddytest.Load(s.caddyfile(servers, "botguard\n"+passedOn))
		if err == nil || !strings.Contains(err.Error(), "trusted_proxies_strict") {
			t.Errorf("with %q: %v", servers, err)
		}
	}
}

// T-23: a customer with a /64 has one network, not 2^64 addresses.
func TestT23AnIPv6NetworkIsOneKey(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile(strict, "botguard {\nchallenge off\nvelocity join {botguard.prefix} 5 1m\n}\n"+passedOn))
	b := s.from("127.0.1.1")
	through := 0
	for n := range 1000 {
		got := b.do(http.MethodPost, joinPath, map[string]string{"X-Forwarded-For": fmt.Sprintf("2001:db8:1:2:%x::%x", n, n)}, "")
		if got.status == http.StatusOK {
			through++
		}
	}
	if through != 5 {
		t.Errorf("%d of 1000 addresses of one /64 came through at a limit of 5", through)
	}
	b.do(http.MethodPost, joinPath, map[string]string{"X-Forwarded-For": "2001:db8:1:3::1"}, "").cameThrough(t, "")
	for _, mapped := range []string{"::ffff:203.0.113.1", "203.0.113.2", "::ffff:203.0.113.3", "203.0.113.4", "203.0.113.5"} {
		b.do(http.MethodPost, joinPath, map[string]string{"X-Forwarded-For": mapped}, "").cameThrough(t, "")
	}
	b.do(http.MethodPost, joinPath, map[string]string{"X-Forwarded-For": "::ffff:203.0.113.6"}, "").is(t, http.StatusTooManyRequests, "too-many-requests")
}

// T-43: Redis is killed in the middle. Joins go on, quickly, under the limit of
// this edge alone, and the fleet's limit is back with Redis, without a restart.
func TestT43JoinsGoOnWithoutRedis(t *testing.T) {
	for name, outage := range map[string]struct{ begin, end func(*site) }{
		"killed": {func(s *site) { s.redis.Kill() }, func(s *site) { s.redis.Start() }},
		"hangs":  {func(s *site) { s.redis.Pause() }, func(s *site) { s.redis.Resume() }},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, "velocity join {botguard.device} 2 1m")
			b := s.from("127.0.1.1")
			b.join(b.solved()).cameThrough(t, "solved")
			outage.begin(s)
			b = s.from("127.0.2.1")
			answer := b.solved()
			var took []time.Duration
			for range 50 {
				begun := time.Now()
				b.join(answer)
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			// The first few wait for Redis, at most velocity.Patience each; then the
			// breaker is open. The rest of a second is for a busy machine.
			if typical, worst := took[len(took)*8/10], took[len(took)-1]; typical > 60*time.Millisecond || worst > time.Second {
				t.Errorf("without Redis a join takes %v, and %v at worst", typical, worst)
			}
			b = s.from("127.0.3.1")
			answer = b.solved()
			b.join(answer).cameThrough(t, "solved")
			b.join(answer).cameThrough(t, "solved")
			b.join(answer).is(t, http.StatusTooManyRequests, "too-many-requests")
			if s.metric("redis_errors_total", nil) == 0 {
				t.Error("the outage is not counted")
			}
			outage.end(s)
			s.clock.Advance(time.Minute)
			b = s.from("127.0.4.1")
			b.join(b.solved()).cameThrough(t, "solved")
			if keys := s.redis.Client().Keys(t.Context(), "tickets:velocity:*").Val(); len(keys) == 0 {
				t.Error("Redis is not used again")
			}
			if s.metric("breaker_open", nil) != 0 {
				t.Error("the breaker stays open")
			}
		})
	}
}

func TestMonitoringRefusesNobody(t *testing.T) {
	s := start(t, "mode monitor\nvelocity join {botguard.prefix} 2 1m")
	b := s.from("127.0.1.1")
	got := b.join("")
	got.cameThrough(t, "")
	if got.header.Get("Set-Cookie") != "" {
		t.Error("monitoring gives a cookie")
	}
	b.join("nonsense").cameThrough(t, "")
	b.do(http.MethodPost, joinPath, map[string]string{"Origin": "https://evil.example"}, "").cameThrough(t, "")
	for decision, n := range map[string]float64{"challenged": 1, "failed": 1, "cross-origin": 1, "passed": 0} {
		if got := s.metric("decisions_total", map[string]string{"decision": decision, "mode": "monitor", "action": "join"}); got != n {
			t.Errorf("%s: %v, want %v", decision, got, n)
		}
	}
}

func TestCountsLimitsAndAnswersOutliveAReload(t *testing.T) {
	s := start(t, "velocity join {botguard.prefix} 2 1m")
	b := s.from("127.0.1.1")
	answer := b.solved()
	b.join(answer).cameThrough(t, "solved")
	s.load(s.caddyfile("", "botguard {\nvelocity join {botguard.prefix} 2 1m\nvelocity claim {botguard.prefix} 1 1m\n}\n"+passedOn))
	b.join(answer).cameThrough(t, "solved")
	b.join(answer).is(t, http.StatusTooManyRequests, "too-many-requests")
	if got := s.metric("decisions_total", map[string]string{"action": "join"}); got != 4 {
		t.Errorf("%v joins are counted over a reload, not 4", got)
	}
	b.do(http.MethodPost, claimPath, nil, "").cameThrough(t, "")
	b.do(http.MethodPost, claimPath, nil, "").is(t, http.StatusTooManyRequests, "too-many-requests") // the new line is in force

	// A config that does not load changes nothing.
	if err := caddytest.Load(s.caddyfile("", "botguard {\nvelocity join {botguard.prefix} 9 1m\n}\n@odd path_regexp (\nrespond @odd odd\n")); err == nil {
		t.Fatal("a bad config loads")
	}
	s.clock.Advance(time.Minute)
	b.do(http.MethodPost, claimPath, nil, "").is(t, http.StatusTooManyRequests, "too-many-requests") // Redis still counts
	if err := caddytest.Load(s.caddyfile("", "botguard {\nmode sometimes\n}\n")); err == nil {
		t.Fatal("a bad config loads")
	}
	b.join("").is(t, http.StatusForbidden, "challenge-required")
	if n, ok := states.References(s.app().Redis()); !ok || n != 1 {
		t.Errorf("%d handlers hold the state", n)
	}
}

func TestMetricsNameWhatHappened(t *testing.T) {
	s := start(t, "velocity join {botguard.prefix} 1 1m")
	b := s.from("127.0.1.1")
	answer := b.solved()
	b.join("nonsense")
	b.join(answer)
	b.join(answer)
	for _, want := range []struct {
		name   string
		labels map[string]string
		value  float64
	}{
		{"challenges_issued_total", nil, 2},
		{"challenges_solved_total", map[string]string{"proof": "solved"}, 2},
		{"challenges_failed_total", map[string]string{"reason": "malformed"}, 1},
		{"velocity_limited_total", map[string]string{"rule": "join {botguard.prefix} 1 1m0s", "by": "process"}, 1},
		{"decisions_total", map[string]string{"action": "join", "decision": "challenged", "mode": "enforce"}, 1},
		{"decisions_total", map[string]string{"action": "join", "decision": "failed"}, 1},
		{"decisions_total", map[string]string{"action": "join", "decision": "passed"}, 1},
		{"decisions_total", map[string]string{"action": "join", "decision": "throttled"}, 1},
		{"breaker_open", nil, 0},
	} {
		if got := s.metric(want.name, want.labels); got != want.value {
			t.Errorf("%s %v: %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	if s.metric("velocity_keys", nil) == 0 {
		t.Error("no keys are counted")
	}
}

func TestTheAccessLogNamesTheDecision(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "access.log")
	s.load(s.caddyfile("", "log {\noutput file "+file+"\n}\nbotguard\n"+passedOn))
	b := s.from("127.0.1.1")
	b.join("")
	b.join("nonsense")
	b.do(http.MethodGet, "/", nil, "") // on the same connection: the lines before are written
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(raw), "\n")
	if !strings.Contains(lines[0], `"botguard":"challenged"`) || !strings.Contains(lines[1], `"botguard":"failed","botguard_reason":"malformed"`) {
		t.Errorf("%s", raw)
	}
}

func TestABotguardNeedsTheTicketsApp(t *testing.T) {
	caddytest.StopAfter(t)
	err := caddytest.Load("{\nadmin off\npersist_config off\n}\nhttp://:0 {\nbotguard\n}\n")
	if err == nil || !strings.Contains(err.Error(), "tickets { redis") {
		t.Errorf("%v", err)
	}
}
