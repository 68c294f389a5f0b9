package pass

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// A pass that is renewed says when its session began, and one that was not is as
// long as it always was.
func TestAPassKeepsTheBeginOfItsSession(t *testing.T) {
	d := newDesk(t)
	c := good()
	c.Began = opening.Add(-50 * time.Minute)
	got, err := d.verifier.Verify(d.sign(t, c), "arena")
	if err != nil || !got.Began.Equal(c.Began) || !got.IssuedAt.Equal(c.IssuedAt) {
		t.Fatalf("%+v %v", got, err)
	}
	for _, began := range []time.Time{{}, opening} {
		c.Began = began
		token := d.sign(t, c)
		body, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil || strings.Contains(string(body), `"sms"`) {
			t.Errorf("%s %v", body, err)
		}
		if got, err := d.verifier.Verify(token, "arena"); err != nil || !got.Began.Equal(opening) {
			t.Errorf("%+v %v", got, err)
		}
	}
}

func TestASessionLastsNoLongerThanAnyPassMay(t *testing.T) {
	d := newDesk(t)
	for name, change := range map[string]func(*Claims){
		"longer than a pass may":   func(c *Claims) { c.Began = c.Expires.Add(-MaxLife - time.Millisecond) },
		"begun after it was given": func(c *Claims) { c.Began = c.IssuedAt.Add(time.Millisecond) },
		"over before it is given":  func(c *Claims) { c.Began, c.Expires = opening.Add(-time.Hour), opening },
	} {
		c := good()
		change(&c)
		if _, err := d.signer.Sign(c); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	c := good()
	c.Began = c.Expires.Add(-MaxLife)
	if got, err := d.verifier.Verify(d.sign(t, c), "arena"); err != nil || !got.Began.Equal(c.Began) {
		t.Errorf("as long as a pass may: %v", err)
	}
}
