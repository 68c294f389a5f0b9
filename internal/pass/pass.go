// Package pass makes and checks admission passes: the signed proof that a
// visitor's turn has come, and the only way to the site and the allocator.
//
// A pass is a JWT (RFC 7519) signed with Ed25519 (RFC 8037) and typed by its
// header (RFC 8725, section 3.11). What must hold: nobody without the private
// key can make one, one for another room or past its exp is never accepted, and
// no claim about how to check a pass is ever taken from the pass itself.
package pass

import (
	"crypto/ed25519"
	"errors"
	"time"
)

const (
	// Issuer is the iss of every pass.
	Issuer = "caddy-tickets"

	// Type is the typ header of every pass. A token made for another use with
	// the same key has another typ and is refused.
	Type = "waitroom-pass+jwt"

	// Algorithm is the only alg there is.
	Algorithm = "EdDSA"

	// MaxTokenLength is looked at before anything is parsed. Ours have about
	// 500 bytes; the rest is room for site-chosen names.
	MaxTokenLength = 4 << 10

	// MaxLife bounds exp − iat, so that a slip in a config cannot make a pass
	// that outlives the sale. However often a pass is renewed, it also bounds exp − the
	// begin of the session.
	MaxLife = 24 * time.Hour

	// Leeway forgives a clock that runs behind the signer's (nbf, iat). It never
	// lengthens a pass: exp is compared without it.
	Leeway = 5 * time.Second
)

// Why a pass is refused. Callers branch on these; the text never has the token.
var (
	ErrMissing   = errors.New("no pass")
	ErrMalformed = errors.New("not a pass")
	ErrForged    = errors.New("pass not signed by a key of ours")
	ErrExpired   = errors.New("pass expired")
	ErrNotYet    = errors.New("pass not valid yet")
	ErrForeign   = errors.New("pass for another room")
)

// Claims is what a pass says.
type Claims struct {
	Room     string    // aud
	Visitor  string    // sub: the visitor id in its text form
	ID       string    // jti
	IssuedAt time.Time // iat, kept to the millisecond so that a session ended and begun again within a second can be told apart
	Expires  time.Time // exp, whole seconds
	Began    time.Time // sms: when the session began, to the millisecond. A pass that is renewed keeps it; zero is IssuedAt
	Limit    int       // lim: tickets this visitor may buy; 0 leaves it to the event
	Binding  string    // bnd: what ties the pass to its client; "" for none
}

// began is when the session began.
func (c *Claims) began() time.Time {
	if c.Began.IsZero() {
		return c.IssuedAt
	}
	return c.Began
}

// CookieName is the name of the cookie that carries a room's pass. With the
// __Host- prefix (secure) a browser takes it only from this very host over TLS.
func CookieName(room string, secure bool) string {
	if secure {
		return "__Host-pass-" + room
	}
	return "pass-" + room
}

// KeySource finds the public key for a kid. It is safe for concurrent use. A
// ring, a signer and RemoteJWKS are sources. False means the pass is refused.
type KeySource interface {
	Key(kid string) (ed25519.PublicKey, bool)
}
