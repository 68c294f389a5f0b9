package pass

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestPassesOutliveARotation(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	long := good()
	long.Expires = opening.Add(time.Hour).Truncate(time.Second)
	before := d.sign(t, long)
	ring, err := d.signer.Ring().Rotate(rand.Reader, opening)
	if err != nil {
		t.Fatal(err)
	}
	d.signer.Use(ring)
	early := d.sign(t, long) // the new key is published, and does not sign yet
	d.clock.Advance(Overlap)
	long.IssuedAt = d.clock.Now()
	late := d.sign(t, long)
	if kid(t, before) != kid(t, early) {
		t.Error("the new key signs before its overlap is over: verifiers may not have seen it")
	}
	if kid(t, before) == kid(t, late) {
		t.Error("the old key still signs after the overlap")
	}
	for name, token := range map[string]string{"before": before, "early": early, "late": late} {
		if _, err := d.verifier.Verify(token, "arena"); err != nil {
			t.Errorf("the pass signed %s: %v", name, err)
		}
	}
}

func TestAKeyGoesWhenNoPassOfItCanBeAlive(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyRing(rand.Reader, opening)
	if err != nil {
		t.Fatal(err)
	}
	first := ring.keys[0].id
	second := rotate(t, ring, opening)
	third := rotate(t, second, opening.Add(Overlap+MaxLife))
	if _, ok := third.Key(first); !ok {
		t.Error("gone while a pass of it may be alive")
	}
	fourth := rotate(t, third, opening.Add(3*Overlap+MaxLife))
	if _, ok := fourth.Key(first); ok {
		t.Error("kept after every pass of it has ended")
	}
}

func rotate(t *testing.T, r *KeyRing, at time.Time) *KeyRing {
	t.Helper()
	next, err := r.Rotate(rand.Reader, at)
	if err != nil {
		t.Fatal(err)
	}
	if next == r {
		t.Fatal("nothing was rotated")
	}
	return next
}

func TestRotatingTwiceInOneOverlapAddsOneKey(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyRing(rand.Reader, opening)
	if err != nil {
		t.Fatal(err)
	}
	ring = rotate(t, ring, opening)
	again, err := ring.Rotate(rand.Reader, opening.Add(Overlap-time.Second))
	if err != nil || again != ring {
		t.Fatalf("two edges that rotate at once must agree: %v", err)
	}
}

func TestARingIsBounded(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyRing(rand.Reader, opening)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxKeys {
		next, err := ring.Rotate(rand.Reader, opening.Add(time.Duration(i)*Overlap))
		if err != nil {
			return
		}
		ring = next
	}
	t.Fatalf("%d keys in a ring", len(ring.keys))
}

func TestARingSurvivesStorage(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyRing(rand.Reader, opening)
	if err != nil {
		t.Fatal(err)
	}
	ring = rotate(t, ring, opening)
	stored, err := ring.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseKeyRing(stored)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.JWKS(), ring.JWKS()) || back.signing(opening).id != ring.signing(opening).id {
		t.Fatal("another ring came back")
	}
}

func TestABrokenRingIsRefusedWithoutTellingItsSecrets(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyRing(rand.Reader, opening)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := ring.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Keys []storedKey }
	if err := json.Unmarshal(stored, &doc); err != nil {
		t.Fatal(err)
	}
	secret := doc.Keys[0].D
	for name, data := range map[string]string{
		"empty":           "",
		"no keys":         `{"keys":[]}`,
		"cut":             string(stored[:len(stored)-2]),
		"short seed":      strings.Replace(string(stored), secret, secret[:10], 1),
		"other seed":      strings.Replace(string(stored), secret, base64.RawURLEncoding.EncodeToString(make([]byte, 32)), 1),
		"other kid":       strings.Replace(string(stored), `"kid":"`, `"kid":"x`, 1),
		"seed not base64": strings.Replace(string(stored), secret, "!"+secret[1:], 1),
	} {
		_, err := ParseKeyRing([]byte(data))
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), secret[:10]) {
			t.Errorf("%s: the error tells the key", name)
		}
	}
}

func TestTheKeySetIsPublicAndStandard(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var doc struct{ Keys []map[string]string }
	if err := json.Unmarshal(d.signer.JWKS(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Keys) != 1 {
		t.Fatal(doc.Keys)
	}
	k := doc.Keys[0]
	if k["kty"] != "OKP" || k["crv"] != "Ed25519" || k["alg"] != "EdDSA" || k["use"] != "sig" || k["kid"] == "" || k["x"] == "" {
		t.Errorf("not an RFC 8037 key: %v", k)
	}
	if _, private := k["d"]; private {
		t.Error("the private key is published")
	}
}

// The example key of RFC 8037, appendix A.3.
func TestTheKeyIDIsTheThumbprintOfRFC8037(t *testing.T) {
	t.Parallel()
	x, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	if got := thumbprint(x); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Error(got)
	}
}

func kid(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ Kid string }
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	return h.Kid
}
