package waitroom

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
)

const bypasses = closed + `
	bypass path /assets/* /favicon.ico
	bypass monitor {
		method GET HEAD
		header X-Monitor blue
	}
	bypass {
		path /hooks/*
		method POST
	}`

func (s *site) bypassed(name string) float64 {
	s.t.Helper()
	return s.metric("requests_total", map[string]string{"action": "bypass", "outcome": name})
}

func TestWhatABypassNamesGoesPastTheQueueAndIsCounted(t *testing.T) {
	s := start(t, bypasses)
	f := s.fan()
	for _, c := range []struct {
		method, path string
		header       map[string]string
		name         string // of the bypass; "" if a pass is needed
	}{
		{"GET", "/assets/logo.png", nil, "path"},
		{"POST", "/assets/logo.png", nil, "path"},
		{"GET", "/favicon.ico", nil, "path"},
		{"GET", "/seats", map[string]string{"X-Monitor": "blue"}, "monitor"},
		{"POST", "/hooks/paid", nil, "method-path"},
		{"GET", "/", nil, ""},
		{"GET", "/assets", nil, ""},
		{"GET", "/hooks/paid", nil, ""}, // both matchers of a set must agree
		{"POST", "/seats", map[string]string{"X-Monitor": "blue"}, ""},
		{"GET", "/seats", map[string]string{"X-Monitor": "red"}, ""},
		// What the matchers do not name is no way in.
		{"GET", "/seats", map[string]string{"X-Original-URL": "/assets/logo.png", "X-Rewrite-URL": "/assets/logo.png"}, ""},
		{"GET", "/seats", map[string]string{"X-Forwarded-Uri": "/assets/a", "X-Forwarded-Prefix": "/assets/", "Referer": "/assets/"}, ""},
		{"GET", "/seats", map[string]string{"X-Http-Method-Override": "POST", "Waitroom-Bypass": "monitor", "Bypass": "path"}, ""},
		{"GET", "/seats", map[string]string{"Host": "assets", "X-Forwarded-Host": "assets", "Cookie": "X-Monitor=blue"}, ""},
		{"GET", "/seats?path=/assets/a", nil, ""},
		{"GET", "/assets/../seats", nil, ""},
		{"GET", "/assets/%2e%2e/seats", nil, ""},
		{"GET", "/assets/..;/seats", nil, ""},
		{"GET", "/assets/..%5cseats", nil, ""},
		{"GET", "/assets/%252e%252e/seats", nil, ""},
		{"GET", "//assets/../seats", nil, ""},
	} {
		before, asked := s.bypassed(c.name), s.metric("requests_total", map[string]string{"action": "bypass"})
		got := f.do(c.method, c.path, c.header)
		switch {
		case got.reachedSite() != (c.name != ""):
			t.Errorf("%s %s %v: %d %.100s", c.method, c.path, c.header, got.status, got.body)
		case c.name != "" && s.bypassed(c.name) != before+1:
			t.Errorf("%s %s is not counted as %s", c.method, c.path, c.name)
		case c.name == "" && s.metric("requests_total", map[string]string{"action": "bypass"}) != asked:
			t.Errorf("%s %s is counted as a bypass", c.method, c.path)
		}
	}
}

// Nobody is who they say they are: without a pass nobody is anybody.
func TestABypassedRequestCarriesNoPassAndNoPlace(t *testing.T) {
	s := start(t, bypasses)
	f := s.fan()
	f.joined()
	f.setCookie("pass-arena", sign(t, s.app().Signer(), func(c *pass.Claims) { c.Visitor = f.place().Visitor.String() }))
	f.setCookie("basket", "7")
	got := f.do(http.MethodGet, "/assets/a.js", map[string]string{"Waitroom-Visitor": "boss", "Waitroom-Pass": "gold", "Connection": "keep-alive, Waitroom-Pass"})
	if !got.reachedSite() || got.header.Get("Set-Cookie") != "" {
		t.Fatalf("%d %.100s", got.status, got.body)
	}
	last, _ := s.behind.last()
	if v, p := last.Header["Waitroom-Visitor"], last.Header["Waitroom-Pass"]; v != nil || p != nil {
		t.Errorf("the site was told %q, %q", v, p)
	}
	if got := last.Header.Get("Cookie"); got != "basket=7" {
		t.Errorf("the site got the cookies %q", got)
	}
}

func TestABypassNeedsNoRedis(t *testing.T) {
	s := start(t, bypasses)
	s.redis.Kill()
	if got := s.fan().get("/assets/a.js"); !got.reachedSite() {
		t.Errorf("%d %.100s", got.status, got.body)
	}
}

// A bypass belongs to the handler: two places of one room may differ in it.
func TestOnePlaceOfARoomHasABypassAndAnotherHasNone(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("waitroom /a/* arena {\n" + closed + "\nbypass path *.js\n}\nwaitroom /b/* arena {\n" + closed + "\n}"))
	f := s.fan()
	if got := f.get("/a/x.js"); !got.reachedSite() {
		t.Errorf("%d %.100s", got.status, got.body)
	}
	f.get("/b/x.js").is(t, http.StatusUnauthorized, "pass-required")
}

// What cannot be decided is decided against.
func TestABypassWhoseMatcherFailsLetsNobodyIn(t *testing.T) {
	s := start(t, closed+"\nbypass broken {\nexpression `int({http.request.header.X-Number}) > 5`\n}\nbypass path /assets/*")
	f := s.fan()
	f.do(http.MethodGet, "/seats", map[string]string{"X-Number": "many"}).is(t, http.StatusUnauthorized, "pass-required")
	if s.bypassed("failed") != 1 {
		t.Error("not counted")
	}
	if got := f.do(http.MethodGet, "/assets/a", map[string]string{"X-Number": "many"}); !got.reachedSite() {
		t.Errorf("one that fails keeps another from matching: %d %.100s", got.status, got.body)
	}
	if got := f.do(http.MethodGet, "/seats", map[string]string{"X-Number": "7"}); !got.reachedSite() {
		t.Errorf("%d %.100s", got.status, got.body)
	}
}

func TestABypassThatWouldLetEverybodyInIsRefused(t *testing.T) {
	for lines, want := range map[string]string{
		"bypass":                        "would let everybody in",
		"bypass assets":                 "getting matcher module 'assets'",
		"bypass {\n}":                   "would let everybody in",
		"bypass assets {\n}":            "getting matcher module 'assets'",
		"bypass not {\npath /buy\n}":    `"not" is a matcher`,
		"bypass Assets {\npath /a\n}":   "lower-case",
		"bypass a/b {\npath /a\n}":      "lower-case",
		"bypass assets {\nspeed 5\n}":   "getting matcher module 'speed'",
		"bypass assets path /assets/*":  "getting matcher module 'assets'",
		"bypass path /a\nbypass {\n\n}": "would let everybody in",
	} {
		_, err := caddytest.Adapt("http://:80 {\nwaitroom arena {\nadmit 1/s\n" + lines + "\n}\n}\n")
		if err == nil || !strings.Contains(err.Error(), "Caddyfile:") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", lines, err)
		}
	}
	s := newSite(t)
	good, err := caddytest.Adapt(s.caddyfile("waitroom arena {\nadmit 1/s\nbypass path /a\n}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range []string{`[]`, `[{}]`, `[{"path":["/a"]},{}]`} {
		bad := strings.Replace(string(good), `[{"path":["/a"]}]`, match, 1)
		if bad == string(good) {
			t.Fatal("the config has another form")
		}
		if err := caddytest.LoadJSON(bad); err == nil || !strings.Contains(err.Error(), "would let everybody in") {
			t.Errorf("match %s: %v", match, err)
		}
	}
}
