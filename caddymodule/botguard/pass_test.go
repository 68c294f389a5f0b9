package botguard

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestEverythingElsePassesWithoutACallToRedis(t *testing.T) {
	s := start(t, "velocity join {botguard.prefix} 1 1m\nvelocity claim {botguard.prefix} 1 1m")
	s.redis.Pause() // whoever asks it would wait
	defer s.redis.Resume()
	b := s.from("127.0.1.1")
	for _, path := range []string{
		"/", "/seats", "/.waitroom/arena/status", "/.waitroom/arena/leave", "/.waitroom/arena/join/", "/.waitroom/arena/join/x",
		"/.waitroom/Arena/join", "/.waitroom//join", "/.waitroom/join", "/.waitroom/a}b/join", "/x/.waitroom/arena/join", "/.botguard/other",
	} {
		for range 3 {
			b.do(http.MethodPost, path, nil, "").cameThrough(t, "")
		}
	}
	b.do(http.MethodGet, joinPath, nil, "").cameThrough(t, "")
	if n := s.metric("decisions_total", nil) + s.metric("redis_errors_total", nil); n != 0 {
		t.Errorf("%v decisions and errors", n)
	}
}

// The same address in another spelling is the same address.
func TestAnEscapedPathIsGuardedToo(t *testing.T) {
	s := start(t, "")
	for _, path := range []string{"/.waitroom/arena/%6aoin", "/%2ewaitroom/arena/join", "/.waitroom/%61rena/join?x=1"} {
		if got := s.from("127.0.0.1").do(http.MethodPost, path, nil, ""); got.Code != "challenge-required" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func TestOffMeansOff(t *testing.T) {
	s := start(t, "challenge off")
	b := s.from("127.0.0.1")
	b.join("").cameThrough(t, "")
	b.do(http.MethodGet, challengePath+"?room=arena", nil, "").cameThrough(t, "")
}

// T-34: only the edge speaks in the edge's name.
func TestT34ForgedHeadersDoNotReachTheSite(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("", `botguard
respond "{http.request.header.Botguard-Score}{http.request.header.Botguard-Answer}{http.request.header.Botguard-Deprioritise} {http.request.header.Other}"`))
	b := s.from("127.0.0.1")
	forged := map[string]string{"Botguard-Score": "0", "BOTGUARD-DEPRIORITISE": "false", "Botguard-Answer": "x", "Other": "kept"}
	if got := b.do(http.MethodGet, "/seats", forged, ""); got.body != " kept" {
		t.Errorf("the site saw %q", got.body)
	}
	forged[headerAnswer] = b.solved()
	if got := b.do(http.MethodPost, joinPath, forged, ""); got.body != " kept" {
		t.Errorf("the site saw %q with a join", got.body)
	}
}

func TestPlaceholdersAreThereForEveryRequest(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("", "botguard {\nchallenge off\n}\nrespond \"{botguard.prefix} {botguard.device} {botguard.action}\""))
	b := s.from("127.0.9.1")
	if got := b.do(http.MethodGet, "/", nil, ""); got.body != "127.0.9.0/24  " {
		t.Errorf("%q", got.body)
	}
	if got := b.join(""); got.body != "127.0.9.0/24  join" {
		t.Errorf("%q", got.body)
	}
}

func TestTwoBotguardsAskForOneAnswer(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("", "route {\nbotguard\nbotguard {\nvelocity join {botguard.prefix} 1 1m\n}\n"+passedOn+"\n}"))
	b := s.from("127.0.0.1")
	answer := b.solved()
	b.join(answer).cameThrough(t, "solved")
	b.join(answer).is(t, http.StatusTooManyRequests, "too-many-requests")
}

func TestAMatcherNarrowsWhatIsGuarded(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("", "@outside not remote_ip 127.0.3.0/24\nbotguard @outside\n"+passedOn))
	s.from("127.0.3.1").join("").cameThrough(t, "")
	s.from("127.0.4.1").join("").is(t, http.StatusForbidden, "challenge-required")
}

// BenchmarkAPassHoldersRequest is what botguard adds to a request that is none of
// its business; the limit is 15 µs.
func BenchmarkAPassHoldersRequest(b *testing.B) {
	h := &Handler{Settings: Settings{Velocity: []Velocity{{Action: actionJoin, Key: "{botguard.prefix}", Limit: 30, Window: 1}}}}
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/seats/arena", nil)
	for _, name := range strings.Fields("Accept Accept-Language Accept-Encoding Cookie User-Agent Referer Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-Dest Sec-Ch-Ua Sec-Ch-Ua-Mobile Sec-Ch-Ua-Platform Cache-Control") {
		r.Header.Set(name, "some value of a usual length")
	}
	for b.Loop() {
		r := caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)
		if err := h.ServeHTTP(w, r, next); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTheSameWithoutBotguard(b *testing.B) {
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/seats/arena", nil)
	for b.Loop() {
		if err := next.ServeHTTP(w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, nil)); err != nil {
			b.Fatal(err)
		}
	}
}
