package pass

import (
	"bytes"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// edge serves a key set and counts who asks.
type edge struct {
	*httptest.Server
	asked atomic.Int64
	body  atomic.Pointer[[]byte] // nil answers 503
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.asked.Add(1)
		body := e.body.Load()
		if body == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(*body)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *edge) serve(body []byte) { e.body.Store(&body) }

func (d *desk) remote(t *testing.T, source string) *RemoteJWKS {
	t.Helper()
	r, err := NewRemoteJWKS(source, nil, d.clock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnAllocatorVerifiesByTheEdgesKeySet(t *testing.T) {
	t.Parallel()
	d, e := newDesk(t), newEdge(t)
	e.serve(d.signer.JWKS())
	v := NewVerifier(d.remote(t, e.URL), d.clock)
	if _, err := v.Verify(d.sign(t, good()), "arena"); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownKidsCostTheEdgeOneRequestAMinute(t *testing.T) {
	t.Parallel()
	d, e := newDesk(t), newEdge(t)
	e.serve(d.signer.JWKS())
	r := d.remote(t, e.URL)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { r.Key("made-up") })
	}
	wg.Wait()
	for range 50 {
		r.Key("made-up")
	}
	if n := e.asked.Load(); n != 1 {
		t.Fatalf("%d requests, want 1", n)
	}
	d.clock.Advance(refreshPause)
	r.Key("made-up")
	if n := e.asked.Load(); n != 2 {
		t.Fatalf("%d requests after a minute, want 2", n)
	}
}

func TestTheLastGoodKeysStayWhileTheEdgeIsAway(t *testing.T) {
	t.Parallel()
	d, e := newDesk(t), newEdge(t)
	e.serve(d.signer.JWKS())
	r := d.remote(t, e.URL)
	v := NewVerifier(r, d.clock)
	if _, err := v.Verify(d.sign(t, good()), "arena"); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]*[]byte{
		"away":     nil,
		"garbage":  new([]byte("<html>")),
		"no keys":  new([]byte(`{"keys":[]}`)),
		"too long": new(append(d.signer.JWKS(), bytes.Repeat([]byte(" "), maxJWKSBody)...)),
	} {
		e.body.Store(body)
		d.clock.Advance(verdictLife)
		if err := r.Refresh(t.Context()); err == nil {
			t.Errorf("%s: taken for a key set", name)
		}
		c := good()
		c.IssuedAt, c.Expires = d.clock.Now(), d.clock.Now().Add(time.Minute)
		if _, err := v.Verify(d.sign(t, c), "arena"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAllocatorThatStartsBeforeItsEdgeIsNotDeafForAMinute(t *testing.T) {
	t.Parallel()
	d, e := newDesk(t), newEdge(t)
	v := NewVerifier(d.remote(t, e.URL), d.clock)
	token := d.sign(t, good())
	if _, err := v.Verify(token, "arena"); !errors.Is(err, ErrForged) {
		t.Fatalf("got %v, want ErrForged", err)
	}
	e.serve(d.signer.JWKS())
	d.clock.Advance(retryPause)
	if _, err := v.Verify(token, "arena"); err != nil {
		t.Fatal(err)
	}
}

func TestANewKeyIsKnownBeforeItSigns(t *testing.T) {
	t.Parallel()
	d, e := newDesk(t), newEdge(t)
	e.serve(d.signer.JWKS())
	r := d.remote(t, e.URL)
	old := d.signer.Ring().keys[0].id
	if _, ok := r.Key(old); !ok {
		t.Fatal("the first key is not known")
	}
	ring := rotate(t, d.signer.Ring(), d.clock.Now())
	e.serve(ring.JWKS())
	d.clock.Advance(refreshBehind)
	r.Key(old) // any pass of the old key starts the look
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := e.asked.Load()
	if _, ok := r.Key(ring.keys[1].id); !ok {
		t.Fatal("the new key is not known")
	}
	if e.asked.Load() != asked {
		t.Fatal("it was looked up only when it was met")
	}
}

func TestAKeySetMayBeAFile(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, d.signer.JWKS(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{path, "file://" + path} {
		if _, err := NewVerifier(d.remote(t, source), d.clock).Verify(d.sign(t, good()), "arena"); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
	if _, err := NewRemoteJWKS("ftp://x/y", nil, d.clock, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("ftp is taken")
	}
}

func TestAKidThatDoesNotBelongToItsKeyIsRefused(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyRing(rand.Reader, opening)
	if err != nil {
		t.Fatal(err)
	}
	swapped := bytes.Replace(ring.JWKS(), []byte(`"kid":"`), []byte(`"kid":"a`), 1)
	if _, err := parseJWKS(swapped); err == nil {
		t.Fatal("accepted")
	}
}

func BenchmarkVerify(b *testing.B) {
	d := newDesk(b)
	token := d.sign(b, good())
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.verifier.Verify(token, "arena"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("uncached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.verifier.check(token, "arena"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sign", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.signer.Sign(good()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
