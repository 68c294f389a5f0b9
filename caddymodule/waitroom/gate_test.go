package waitroom

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// goClient is the User-Agent that Go sends, which a pass of a test is bound to.
const goClient = "Go-http-client/1.1"

// claims are those of a pass that holds.
func claims() pass.Claims {
	now := time.Now()
	return pass.Claims{
		Room: "arena", Visitor: place.Visitor{1}.String(), ID: uuid.NewString(),
		IssuedAt: now, Expires: now.Add(time.Minute), Binding: bound(goClient),
	}
}

func bound(agent string) string {
	r := &http.Request{Header: http.Header{"User-Agent": {agent}}}
	return binding(r)
}

func sign(t testing.TB, signer *pass.Signer, change func(*pass.Claims)) string {
	t.Helper()
	c := claims()
	if change != nil {
		change(&c)
	}
	token, err := signer.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// anotherFleet signs with keys of its own.
func anotherFleet(t *testing.T) *pass.Signer {
	t.Helper()
	ring, err := pass.NewKeyRing(zeros{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return pass.NewSigner(ring, clock.System())
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestQ3_NobodyReachesTheSiteWithoutAValidPass(t *testing.T) {
	s := start(t, open)
	ours := s.app().Signer()
	good := sign(t, ours, nil)
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	flipped := []byte(signature)
	flipped[10] = map[bool]byte{true: 'B', false: 'A'}[flipped[10] == 'A']
	for _, a := range []struct{ name, cookie, token, outcome string }{
		{"none", "pass-arena", "", "missing"},
		{"of another fleet", "pass-arena", sign(t, anotherFleet(t), nil), "forged"},
		{"expired", "pass-arena", sign(t, ours, func(c *pass.Claims) { c.IssuedAt, c.Expires = time.Now().Add(-time.Hour), time.Now().Add(-time.Second) }), "expired"},
		{"of another room", "pass-arena", sign(t, ours, func(c *pass.Claims) { c.Room = "club" }), "foreign"},
		{"of the future", "pass-arena", sign(t, ours, func(c *pass.Claims) { c.IssuedAt, c.Expires = time.Now().Add(time.Minute), time.Now().Add(time.Hour) }), "not-yet"},
		{"of another client", "pass-arena", sign(t, ours, func(c *pass.Claims) { c.Binding = bound("curl/8") }), "stolen"},
		{"bound to nobody", "pass-arena", sign(t, ours, func(c *pass.Claims) { c.Binding = "" }), "stolen"},
		{"truncated", "pass-arena", good[:len(good)-1], "malformed"},
		{"cut off before the signature", "pass-arena", header + "." + payload, "malformed"},
		{"without a signature", "pass-arena", header + "." + payload + ".", "forged"},
		{"with one bit changed", "pass-arena", header + "." + payload + "." + string(flipped), "forged"},
		{"with alg none", "pass-arena", encode(`{"alg":"none","typ":"`+pass.Type+`"}`) + "." + payload + ".", "forged"},
		{"with other claims", "pass-arena", header + "." + encode(`{"aud":"arena","exp":9999999999}`) + "." + signature, "forged"},
		{"padded", "pass-arena", good + "=", "malformed"},
		{"twice", "pass-arena", good + "." + good, "malformed"},
		{"a place token", "pass-arena", s.app().Places().Seal("arena", place.Token{Visitor: place.Visitor{1}, Score: 1}), "malformed"},
		{"nonsense", "pass-arena", "x", "malformed"},
		{"huge", "pass-arena", strings.Repeat("A", 12_000), "malformed"},
		{"in another room's cookie", "pass-club", good, "missing"},
		{"in the cookie for TLS", "__Host-pass-arena", good, "missing"},
	} {
		t.Run(a.name, func(t *testing.T) {
			before := s.metric("requests_total", map[string]string{"action": "pass", "outcome": a.outcome})
			for _, path := range []string{"/seats", "/.waitroom/", "/.waitroom/arena", "/.waitroom/arena/", "/.waitroom/arena/joinx", "/.waitroom/arena/join/..", "/.waitroom/club/join", "/.well-known/jwks.json/x", "/%2ewaitroom/arena/statusx"} {
				for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodOptions, "BREW"} {
					f := s.fan()
					got := f.do(method, path, map[string]string{"User-Agent": goClient, "Cookie": a.cookie + "=" + a.token})
					if got.status != http.StatusUnauthorized || got.Code != "pass-required" {
						t.Errorf("%s %s: %d %.100s", method, path, got.status, got.body)
					}
				}
			}
			if s.metric("requests_total", map[string]string{"action": "pass", "outcome": a.outcome}) == before {
				t.Errorf("not counted as %s", a.outcome)
			}
		})
	}
	if _, n := s.behind.last(); n > 0 {
		t.Fatalf("%d requests reached the site", n)
	}
	got := s.fan().do(http.MethodGet, "/seats", map[string]string{"User-Agent": goClient, "Cookie": "pass-arena=" + good})
	if !got.reachedSite() { // or the table above would prove nothing
		t.Fatalf("with a good pass: %d %s", got.status, got.body)
	}
}

// A pass that was ended is refused at once, though its verdict is cached, and
// within a tick at every other edge.
func TestQ3_ASessionThatWasEndedIsOver(t *testing.T) {
	s := start(t, open)
	f := s.fan()
	f.admitted()
	if !f.page("/").reachedSite() {
		t.Fatal("the pass does not hold")
	}
	token := f.cookie("pass-arena")
	f.post(arena+"leave").is(t, http.StatusNoContent, "")
	if f.cookie("pass-arena") != "" {
		t.Error("the browser keeps the pass")
	}
	f.setCookie("pass-arena", token)
	if got := f.get("/"); got.status != http.StatusUnauthorized {
		t.Errorf("%d %s", got.status, got.body)
	}
	other := s.anotherEdge()
	visitor := f.place().Visitor.String()
	eventually.Holds(t, "another edge knows", func() bool { return other.Revoked(visitor, time.Now().Add(-time.Minute)) })
}

// anotherEdge runs the room as another process on the same Redis does.
func (s *site) anotherEdge() *room.Room {
	r := room.New(room.Deps{Queue: queue.Open(s.redis.Client(), "arena")}, s.room().Config())
	r.Start()
	s.t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			s.t.Error(err)
		}
	})
	return r
}

func TestTheSiteIsToldWhoItIsByTheEdgeAlone(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("@queue path /seats*\nwaitroom @queue arena {\n" + open + "\n}"))
	f := s.fan()
	f.admitted()
	visitor := f.place().Visitor.String()
	forged := map[string]string{
		"Waitroom-Visitor": "boss", "Waitroom-Pass": "gold", "waitroom-visitor": "boss",
		"Connection": "keep-alive, Waitroom-Visitor, waitroom-pass",
	}
	if got := f.do(http.MethodGet, "/seats", forged); !got.reachedSite() {
		t.Fatalf("%d %s", got.status, got.body)
	}
	last, _ := s.behind.last()
	if got := last.Header["Waitroom-Visitor"]; len(got) != 1 || got[0] != visitor {
		t.Errorf("inside, the site was told %q", got)
	}
	if got := last.Header["Waitroom-Pass"]; len(got) != 1 || got[0] != f.cookie("pass-arena") {
		t.Errorf("inside, the site was given %q", got)
	}
	if got := s.fan().do(http.MethodGet, "/about", forged); !got.reachedSite() {
		t.Fatalf("outside of what is guarded: %d %s", got.status, got.body)
	}
	last, _ = s.behind.last()
	if v, p := last.Header["Waitroom-Visitor"], last.Header["Waitroom-Pass"]; v != nil || p != nil {
		t.Errorf("outside, the site was told %q, %q", v, p)
	}
	got := s.raw("POST /about HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Waitroom-Visitor\r\nConnection: close\r\n\r\n0\r\nWaitroom-Visitor: boss\r\n\r\n")
	if !got.reachedSite() {
		t.Fatalf("%d %s", got.status, got.body)
	}
	last, _ = s.behind.last()
	if v := last.Trailer.Get("Waitroom-Visitor"); v != "" {
		t.Errorf("a trailer said %q", v)
	}
}

// The site gets its own cookies and those of other rooms, never this room's place or
// pass: the pass is in a header.
func TestTheSiteGetsItsOwnCookiesAndNotTheRooms(t *testing.T) {
	s := start(t, open)
	f := s.fan()
	f.admitted()
	pass := f.cookie("pass-arena")
	get := func(cookies string) string {
		t.Helper()
		got := s.raw("GET /seats HTTP/1.1\r\nHost: a\r\nUser-Agent: " + goClient + "\r\nConnection: close\r\n" + cookies + "\r\n")
		if !got.reachedSite() {
			t.Fatalf("%d %s", got.status, got.body)
		}
		last, _ := s.behind.last()
		if last.Header.Get("Waitroom-Pass") != pass {
			t.Error("the pass is not in its header")
		}
		return strings.Join(last.Header["Cookie"], " | ")
	}
	for cookies, want := range map[string]string{
		"Cookie: pass-arena=" + pass + "\r\n":                                             "",
		"Cookie: a=1; place-arena=p; pass-arena=" + pass + "; session=\"x y\"\r\n":        `a=1; session="x y"`,
		"Cookie: a=1;pass-arena=" + pass + ";;b=2\r\nCookie: place-arena=p; c=3\r\n":      "a=1; b=2; c=3",
		"Cookie: pass-arena=" + pass + "; __Host-pass-arena=x; __Host-place-arena=y\r\n":  "",
		"Cookie: pass-arena=" + pass + "; pass-arena2=x; mypass-arena=y; pass-club=z\r\n": "pass-arena2=x; mypass-arena=y; pass-club=z",
	} {
		if got := get(cookies); got != want {
			t.Errorf("%.60q: the site got %q, want %q", cookies, got, want)
		}
	}
}

// Where two gates of a room lie behind each other, as a guarded part of a guarded
// site, the outer one decides.
func TestAGateBehindAGateOfTheSameRoomLetsThrough(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("waitroom arena {\n" + open + "\n}\nwaitroom /vip* arena"))
	f := s.fan()
	if got := f.page("/vip"); got.reachedSite() {
		t.Fatal("without a pass")
	}
	f.admitted()
	if got := f.page("/vip"); !got.reachedSite() {
		t.Errorf("with a pass: %d", got.status)
	}
}

// With a matcher the room guards what matches, and its endpoints work wherever
// they are.
func TestAMatcherGuardsAPartOfTheSite(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("waitroom /seats* arena {\n" + open + "\n}"))
	f := s.fan()
	if got := f.page("/about"); !got.reachedSite() {
		t.Errorf("outside: %d", got.status)
	}
	if got := f.page("/seats/1"); got.reachedSite() {
		t.Error("what matches is not guarded")
	}
	f.admitted()
	if got := f.page("/seats/1"); !got.reachedSite() {
		t.Errorf("with a pass: %d", got.status)
	}
}

// Two sites that name one room share its queue and its passes' keys.
func TestTwoPlacesShareOneRoom(t *testing.T) {
	s := newSite(t)
	s.load(s.caddyfile("waitroom /a* arena {\n" + open + "\n}\nwaitroom /b* arena\nwaitroom /c* club {\n" + open + "\n}"))
	f := s.fan()
	f.admitted()
	for path, in := range map[string]bool{"/a": true, "/b": true, "/c": false} {
		if got := f.page(path); got.reachedSite() != in {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if rooms := s.app().Rooms(); len(rooms) != 2 {
		t.Errorf("%d rooms", len(rooms))
	}
	eventually.Holds(t, "joining the other room, too", func() bool {
		return f.post("/.waitroom/club/join").status == http.StatusCreated || f.get("/.waitroom/club/status").status == http.StatusOK
	})
}

// Without a pass a browser meets the page, and programs a refusal they can read.
func TestABrowserMeetsThePageAndAProgramARefusal(t *testing.T) {
	s := start(t, closed+"\nstatus 503")
	for _, c := range []struct {
		method string
		header map[string]string
		page   bool
	}{
		{"GET", map[string]string{"Accept": "text/html"}, true},
		{"GET", map[string]string{"Accept": "*/*"}, true},
		{"GET", map[string]string{"Accept": ""}, true},
		{"HEAD", map[string]string{"Accept": "text/html"}, true},
		{"GET", map[string]string{"Accept": "*/*", "Sec-Fetch-Dest": "document"}, true},
		{"POST", map[string]string{"Accept": "text/html,*/*"}, true},
		{"GET", map[string]string{"Accept": "*/*", "Sec-Fetch-Dest": "empty"}, false},
		{"GET", map[string]string{"Accept": "*/*", "Sec-Fetch-Dest": "image"}, false},
		{"GET", map[string]string{"Accept": "application/json"}, false},
		{"POST", map[string]string{"Accept": "*/*"}, false},
	} {
		got := s.fan().do(c.method, "/seats", c.header)
		if !c.page {
			got.is(t, http.StatusUnauthorized, "pass-required")
			if got.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(got.body, arena+"join") {
				t.Errorf("%v: %s", c, got.body)
			}
			continue
		}
		if got.status != http.StatusServiceUnavailable || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%v: %d %s", c, got.status, got.header.Get("Content-Type"))
		}
		if got.header.Get("Retry-After") == "" || got.header.Get("Cache-Control") != "no-store, no-transform" {
			t.Errorf("%v: %v", c, got.header)
		}
	}
}

// Another site's page must not make a visitor join, claim or leave.
func TestAnotherSitesPageCanDoNothing(t *testing.T) {
	s := start(t, closed)
	f := s.fan()
	f.joined()
	for _, header := range []map[string]string{
		{"Origin": "https://evil.example"},
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Origin": "null"},
	} {
		for _, what := range []string{"join", "claim", "leave"} {
			f.do(http.MethodPost, arena+what, header).is(t, http.StatusForbidden, "cross-origin")
		}
	}
	if got := f.get(arena + "status"); got.status != http.StatusOK {
		t.Errorf("the place is gone: %d %s", got.status, got.body)
	}
	for _, what := range []string{"join", "claim", "leave"} {
		got := f.get(arena + what)
		got.is(t, http.StatusMethodNotAllowed, "method-not-allowed")
		if got.header.Get("Allow") != http.MethodPost {
			t.Errorf("Allow: %q", got.header.Get("Allow"))
		}
	}
	for _, what := range []string{"status", "stream", "board"} {
		f.post(arena+what).is(t, http.StatusMethodNotAllowed, "method-not-allowed")
	}
}

func TestLargeBodiesAndHeadersAreRefused(t *testing.T) {
	s := start(t, open)
	s.raw(fmt.Sprintf("POST %sjoin HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", arena, maxBody+1)).is(t, http.StatusRequestEntityTooLarge, "too-large")
	if got := s.raw(fmt.Sprintf("POST %sjoin HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", arena, maxBody, strings.Repeat("x", maxBody))); got.status != http.StatusCreated {
		t.Errorf("a body of the longest size: %d %s", got.status, got.body)
	}
	if got := s.raw("GET / HTTP/1.1\r\nHost: a\r\nCookie: pass-arena=" + strings.Repeat("A", 64<<10) + "\r\n\r\n"); got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a large header: %d %s", got.status, got.body)
	}
	endless := strings.Repeat("10000\r\n"+strings.Repeat("x", 0x10000)+"\r\n", 10)
	got := s.raw("POST " + arena + "join HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + endless)
	if got.status != http.StatusCreated { // nobody reads it
		t.Errorf("an endless body: %d %s", got.status, got.body)
	}
	f := s.fan()
	f.joined()
	if got := f.get(arena + "status?seen=" + strings.Repeat("9", 4000)); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestKeysArePublishedAndCheckPasses(t *testing.T) {
	s := start(t, open)
	got := s.fan().get(jwksPath)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/jwk-set+json" || !strings.Contains(got.body, "Ed25519") || strings.Contains(got.body, `"d"`) {
		t.Fatalf("%d %s", got.status, got.body)
	}
}

// A gate does not stand in the way of what is inside it: the verdict about a
// handler's release header is the same whichever way it writes.
func TestTheReleaseHeaderNeverLeaves(t *testing.T) {
	s := newSite(t)
	s.load(s.server("http://:0", "waitroom arena {\n"+open+"\n}\nheader Waitroom-Release 0\nrespond \"in\""))
	f := s.fan()
	f.admitted()
	if got := f.page("/"); got.body != "in" || got.header["Waitroom-Release"] != nil || f.cookie("pass-arena") == "" {
		t.Errorf("a release that is not 1: %q %v", got.body, got.header)
	}
	s.load(s.server("http://:0", "waitroom arena {\n"+open+"\n}\nheader Waitroom-Release 1\nrespond \"in\""))
	if got := f.page("/"); got.body != "in" || got.header["Waitroom-Release"] != nil || f.cookie("pass-arena") != "" {
		t.Errorf("a release: %q %v", got.body, got.header)
	}
}

// However a handler begins its answer, the header is looked at before it is sent.
func TestEveryWayToAnswerIsWatched(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter) error{
		"WriteHeader": func(w http.ResponseWriter) error { w.WriteHeader(http.StatusNotFound); return nil },
		"Write":       func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err },
		"ReadFrom": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("x")})
			return err
		},
		"Flush":   func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"Upgrade": func(w http.ResponseWriter) error { w.WriteHeader(http.StatusSwitchingProtocols); return nil },
	} {
		sent := httptest.NewRecorder()
		i := &inside{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: sent}}
		i.Header().Set("Waitroom-Release", "0")
		if err := begin(i); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !i.begun || i.Header().Get("Waitroom-Release") != "" {
			t.Errorf("%s: the header leaves", name)
		}
	}
	early := &inside{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: httptest.NewRecorder()}}
	if early.WriteHeader(http.StatusEarlyHints); early.begun {
		t.Error("early hints are taken for the answer")
	}
}

// What opens doors is never written down.
func TestLogsHaveNoPassesAndNoPlaces(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "access.log")
	config := s.caddyfile("log {\noutput file " + file + "\n}\nwaitroom arena {\n" + open + "\n}")
	s.load(strings.Replace(config, "level FATAL", "output file "+file+"\nlevel INFO", 1))
	f := s.fan()
	f.page("/")
	f.admitted()
	place, pass := f.cookie("place-arena"), f.cookie("pass-arena")
	if !f.page("/seats").reachedSite() {
		t.Fatal("the pass does not hold")
	}
	f.setCookie("pass-arena", pass[:len(pass)-1])
	f.page("/seats")
	f.setCookie("pass-arena", pass)
	f.page("/done")
	eventually.Holds(t, "the log has it all", func() bool {
		raw, err := os.ReadFile(file)
		return err == nil && bytes.Contains(raw, []byte("/done"))
	})
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(filepath.Join(s.keys, "tickets", "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{"a pass": pass[:len(pass)-1], "a place": place, "a key": string(keys[11:40])} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("the log has %s", what)
		}
	}
}
