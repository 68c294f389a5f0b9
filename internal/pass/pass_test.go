package pass

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

var opening = time.Date(2026, 12, 1, 9, 0, 0, 250e6, time.UTC)

// desk is a signer and a verifier at one time.
type desk struct {
	clock    *clock.Fake
	signer   *Signer
	verifier *Verifier
}

func newDesk(tb testing.TB) *desk {
	tb.Helper()
	clk := clock.NewFake(opening)
	ring, err := NewKeyRing(rand.Reader, opening)
	if err != nil {
		tb.Fatal(err)
	}
	signer := NewSigner(ring, clk)
	return &desk{clk, signer, NewVerifier(signer, clk)}
}

func good() Claims {
	return Claims{
		Room: "arena", Visitor: "AAAAAAAAAAAAAAAAAAAAAA", ID: "j1", IssuedAt: opening,
		Expires: opening.Add(10 * time.Minute).Truncate(time.Second), Limit: 4, Binding: "b", Began: opening,
	}
}

func (d *desk) sign(tb testing.TB, c Claims) string {
	tb.Helper()
	token, err := d.signer.Sign(c)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// forge signs any header and payload with the desk's own key: what a test sends
// is then refused for its content and not for its signature.
func (d *desk) forge(tb testing.TB, header, payload string) string {
	tb.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	sig := ed25519.Sign(d.signer.Ring().keys[0].private, []byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func (d *desk) header(tb testing.TB, members map[string]any) string {
	tb.Helper()
	h := map[string]any{"alg": "EdDSA", "typ": Type, "kid": d.signer.Ring().keys[0].id}
	for k, v := range members {
		if v == nil {
			delete(h, k)
		} else {
			h[k] = v
		}
	}
	return marshal(tb, h)
}

func payload(tb testing.TB, members map[string]any) string {
	tb.Helper()
	p := map[string]any{
		"iss": Issuer, "aud": []string{"arena"}, "sub": "v", "jti": "j", "iat": opening.Unix(), "nbf": opening.Unix(),
		"exp": opening.Unix() + 600, "ims": opening.UnixMilli(),
	}
	for k, v := range members {
		if v == nil {
			delete(p, k)
		} else {
			p[k] = v
		}
	}
	return marshal(tb, p)
}

func marshal(tb testing.TB, v any) string {
	tb.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

func TestAPassSaysWhatWasSigned(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	token := d.sign(t, good())
	for range 2 { // the second time from the cache
		got, err := d.verifier.Verify(token, "arena")
		if err != nil || got != good() {
			t.Fatalf("got %+v, %v; want %+v", got, err, good())
		}
	}
}

func TestAPassEndsAtItsExpiryAndNotWithTheLeeway(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	token := d.sign(t, good())
	d.clock.Advance(good().Expires.Sub(opening) - time.Millisecond)
	if _, err := d.verifier.Verify(token, "arena"); err != nil {
		t.Fatalf("one millisecond before its end: %v", err)
	}
	d.clock.Advance(time.Millisecond) // now both in the cache and past exp
	if _, err := d.verifier.Verify(token, "arena"); !errors.Is(err, ErrExpired) {
		t.Fatalf("at its end, cached: got %v, want ErrExpired", err)
	}
	fresh := NewVerifier(d.signer, d.clock)
	if _, err := fresh.Verify(token, "arena"); !errors.Is(err, ErrExpired) {
		t.Fatalf("at its end, not cached: got %v, want ErrExpired", err)
	}
}

func TestAVerdictIsForgottenAfterHalfAMinute(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	token := d.sign(t, good())
	if _, err := d.verifier.Verify(token, "arena"); err != nil {
		t.Fatal(err)
	}
	other, err := NewKeyRing(rand.Reader, opening)
	if err != nil {
		t.Fatal(err)
	}
	d.signer.Use(other) // the key is withdrawn
	d.clock.Advance(verdictLife - time.Second)
	if _, err := d.verifier.Verify(token, "arena"); err != nil {
		t.Fatalf("within the half minute: %v", err)
	}
	d.clock.Advance(time.Second)
	if _, err := d.verifier.Verify(token, "arena"); !errors.Is(err, ErrForged) {
		t.Fatalf("after it: got %v, want ErrForged", err)
	}
}

func TestACachedVerdictIsForItsOwnRoomOnly(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	token := d.sign(t, good())
	if _, err := d.verifier.Verify(token, "arena"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.verifier.Verify(token, "club"); !errors.Is(err, ErrForeign) {
		t.Fatalf("got %v, want ErrForeign", err)
	}
}

func TestTheVerdictCacheIsBounded(t *testing.T) {
	t.Parallel()
	v := newVerdicts()
	c := good()
	for i := range 4 * verdictsPerPart {
		var key verdictKey // all in one shard
		key[1], key[2] = byte(i), byte(i>>8)
		v.put(key, c, opening)
	}
	if n := len(v.shards[0].seen); n > verdictsPerPart {
		t.Fatalf("%d verdicts in a shard, want at most %d", n, verdictsPerPart)
	}
}

func TestASignerRefusesPassesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, change := range map[string]func(*Claims){
		"no room":         func(c *Claims) { c.Room = "" },
		"no visitor":      func(c *Claims) { c.Visitor = "" },
		"no id":           func(c *Claims) { c.ID = "" },
		"expired at once": func(c *Claims) { c.Expires = c.IssuedAt },
		"a life of weeks": func(c *Claims) { c.Expires = c.IssuedAt.Add(14 * 24 * time.Hour) },
		"too long a text": func(c *Claims) { c.Binding = string(make([]byte, MaxTokenLength)) },
	} {
		c := good()
		change(&c)
		if _, err := d.signer.Sign(c); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestCookiesAreBoundToTheHostOverTLS(t *testing.T) {
	t.Parallel()
	if got := CookieName("arena", true); got != "__Host-pass-arena" {
		t.Error(got)
	}
	if got := CookieName("arena", false); got != "pass-arena" {
		t.Error(got)
	}
}
