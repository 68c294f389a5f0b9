package httpapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
)

// FuzzCheckoutBody sends anything as the body of a checkout: it is answered with a
// booking, or with a refusal of the client, and nothing of it but a good one reaches
// the provider.
func FuzzCheckoutBody(f *testing.F) {
	s := open(f)
	hold := s.hold(s.event(1, 0), "ann", "k", seats("A0"))
	for _, body := range []string{
		`{"method":"tok_never","buyer":{"name":"Ada","email":"ada@example.org"}}`, // holds the seat while others come
		`{"method":"tok_ok","buyer":{"name":"","email":"ada@example.org"}}`,
		`{"method":"tok_ok","buyer":{"name":"Ada","email":"Ada <ada@example.org>"}}`,
		`{"method":"tok ok","buyer":{"name":"Ada","email":"a@b"}}`, `{"method":"\u0000","buyer":{"name":"A\nB","email":"a@b"}}`,
		`{"method":"tok_ok","buyer":null}`, `{"buyer":{"buyer":{}}}`, `[]`, `0`, ``, "\xef\xbb\xbf{}", strings.Repeat("[", 100),
		`{"method":"tok_ok","buyer":{"name":"` + strings.Repeat("é", 101) + `","email":"a@b"}}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		of := &shop{t: t, handler: s.handler, signer: s.signer, clock: s.clock}
		sum := sha256.Sum256([]byte(body)) // one key fits one body
		got := of.do(ask{
			method: http.MethodPost, path: "/v1/holds/" + hold + "/checkout", pass: of.pass("ann"),
			key: hex.EncodeToString(sum[:]), body: body,
		})
		if got.status != http.StatusCreated && got.status != http.StatusAccepted && (got.status < 400 || got.status >= 500) {
			t.Errorf("%q was answered %d %s", body, got.status, got.body)
		}
		if n := len(s.box.Payments()); n > 1 {
			t.Errorf("one seat has %d payments", n)
		}
	})
}
