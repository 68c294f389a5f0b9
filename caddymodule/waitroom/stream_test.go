package waitroom

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/hub"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// What was shown before is told by the client, and nothing shown after is higher.
func TestQ2_WhatIsShownNeverGoesUp(t *testing.T) {
	s := start(t, closed)
	var last *fan
	for range 5 {
		last = s.fan()
		last.joined()
	}
	s.until("five wait", func(v *room.View) bool { return v.Board != nil && v.Board.Waiting() == 5 })
	if got := last.get(arena + "status"); got.Position != 5 {
		t.Fatal(got.body)
	}
	for _, c := range []struct {
		seen string
		want int
	}{{"3", 3}, {"7", 5}, {"0", 5}, {"-1", 5}, {"x", 5}, {"99999999999999999999", 5}} {
		if got := last.get(arena + "status?seen=" + c.seen); got.Position != c.want || got.Ahead != c.want-1 {
			t.Errorf("status, seen %s: %d", c.seen, got.Position)
		}
		line := last.stream(map[string]string{"Last-Event-ID": c.seen})
		e := line.next("position")
		if e.Position != c.want || e.id == "" {
			t.Errorf("stream, seen %s: %+v", c.seen, e)
		}
		line.close()
	}
}

// A visitor may have a stream in some tabs; beyond that the tab polls.
func TestAFanWithoutAStreamIsSentToTheStatus(t *testing.T) {
	s := start(t, closed)
	for name, f := range map[string]*fan{"HTTP/1.1": s.fan(), "HTTP/2": s.fanOverH2()} {
		f.joined()
		for range hub.DefaultMaxPerVisitor {
			f.stream(nil).next("position")
		}
		got := f.stream(nil).reply
		got.is(t, http.StatusServiceUnavailable, "no-stream")
		if got.PollAfter <= 0 || got.header.Get("Retry-After") == "" || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v %s", name, got.header, got.body)
		}
		if status := f.get(arena + "status"); status.status != http.StatusOK || status.PollAfter <= 0 {
			t.Errorf("%s: %s", name, status.body)
		}
	}
	s.fan().stream(nil).reply.is(t, http.StatusNotFound, "not-queued")
}

// stream_origin is another port of the same host: its page may read the stream
// there, and nobody else's may.
func TestTheStreamIsReadByPagesOfTheSameHostOnly(t *testing.T) {
	s := start(t, closed+"\nstream_origin http://127.0.0.1:8443")
	f := s.fan()
	if got := f.joined(); got.Stream != "http://127.0.0.1:8443"+arena+"stream" {
		t.Errorf("the stream is at %q", got.Stream)
	}
	if csp := f.page("/").header.Get("Content-Security-Policy"); !strings.Contains(csp, "connect-src 'self' http://127.0.0.1:8443;") {
		t.Errorf("the page may connect to: %s", csp)
	}
	for origin, want := range map[string]string{
		"http://127.0.0.1:9": "http://127.0.0.1:9", "https://evil.example": "", "http://127.0.0.1.evil.example": "", "null": "", "http://": "",
	} {
		line := f.stream(map[string]string{"Origin": origin})
		h := line.reply.header
		if got := h.Get("Access-Control-Allow-Origin"); got != want || (want != "") != (h.Get("Access-Control-Allow-Credentials") == "true") {
			t.Errorf("%s: allowed %q", origin, got)
		}
		line.close()
	}
	if got := f.do(http.MethodHead, arena+"stream", nil); got.status != http.StatusOK {
		t.Errorf("HEAD: %d", got.status)
	}
}

// Over TLS cookies cannot come from anywhere else, and the stream is parked too.
func TestOverTLSCookiesAreBoundToTheHost(t *testing.T) {
	s := newSite(t)
	cert, key := selfSigned(t)
	body := "tls " + cert + " " + key + "\nwaitroom arena {\n" + open + "\n}\nreverse_proxy " + strings.TrimPrefix(s.behind.URL, "http://")
	s.load(s.server("https://127.0.0.1:0", body))
	f := s.fanOver(&http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}) //nolint:gosec // its own certificate
	var set []*http.Cookie
	collect := func(got reply) {
		set = append(set, (&http.Response{Header: got.header}).Cookies()...)
	}
	collect(f.page("/"))
	collect(f.joined())
	line := f.stream(nil)
	line.next("admitted")
	line.ends()
	collect(f.post(arena + "claim"))
	if got := f.page("/"); !got.reachedSite() {
		t.Fatalf("%d %.200s", got.status, got.body)
	}
	names := make(map[string]bool)
	for _, c := range set {
		names[c.Name] = true
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge <= 0 {
			t.Errorf("%s", c)
		}
	}
	if len(names) != 2 || !names["__Host-place-arena"] || !names["__Host-pass-arena"] {
		t.Errorf("cookies %v", names)
	}
}

func selfSigned(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private)
}
