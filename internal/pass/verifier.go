package pass

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// Verifier checks passes. A check costs some 60 to 100 µs, so a good verdict is
// remembered by the token's hash for at most 30 s and never past exp. Bad
// verdicts are not remembered: an attacker varies the token anyway, and would
// only push good ones out. Revocation is the caller's to check, every time.
// Safe for concurrent use.
type Verifier struct {
	keys  KeySource
	clock clock.Clock
	cache *verdicts
}

// NewVerifier returns a verifier that trusts the keys of the source.
func NewVerifier(keys KeySource, clk clock.Clock) *Verifier {
	return &Verifier{keys: keys, clock: clk, cache: newVerdicts()}
}

// Verify returns what a pass for the audience says, or one of the package's
// errors. The token may be anything a client sends.
func (v *Verifier) Verify(token, audience string) (Claims, error) {
	if token == "" {
		return Claims{}, ErrMissing
	}
	if len(token) > MaxTokenLength || !plain(token) { // before it costs anything
		return Claims{}, ErrMalformed
	}
	now := v.clock.Now()
	hash := verdictKey(sha256.Sum256([]byte(token)))
	if c, ok := v.cache.get(hash, audience, now); ok {
		return c, nil
	}
	c, err := v.check(token, audience)
	if err != nil {
		return Claims{}, err
	}
	if !now.Before(c.Expires) { // without the leeway that the parser gives
		return Claims{}, ErrExpired
	}
	v.cache.put(hash, c, now)
	return c, nil
}

// plain says that a token has no byte but those of base64url and its two dots.
// Go's decoder passes over line breaks, so without this one pass would have any
// number of spellings.
func plain(token string) bool {
	for i := range len(token) {
		switch c := token[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

func (v *Verifier) check(token, audience string) (Claims, error) {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{Algorithm}),
		jwt.WithIssuer(Issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithNotBeforeRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(Leeway),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(v.clock.Now),
	)
	var wire wireClaims
	if _, err := parser.ParseWithClaims(token, &wire, v.key); err != nil {
		return Claims{}, refusal(err)
	}
	if err := refuseDuplicateParts(token); err != nil {
		return Claims{}, err
	}
	return wire.claims(audience)
}

// key finds the key for a parsed but unverified token. The header is a closed
// set: jku, x5u, jwk and crit would tell us where to look for trust, and we do
// not take advice on that from a stranger.
func (v *Verifier) key(t *jwt.Token) (any, error) {
	for name := range t.Header {
		if name != "alg" && name != "typ" && name != "kid" {
			return nil, fmt.Errorf("%w: header has %d members", ErrMalformed, len(t.Header))
		}
	}
	if typ, _ := t.Header["typ"].(string); typ != Type {
		return nil, fmt.Errorf("%w: another type of token", ErrMalformed)
	}
	kid, _ := t.Header["kid"].(string)
	if kid == "" || len(kid) > maxKeyIDLength {
		return nil, fmt.Errorf("%w: no kid", ErrForged)
	}
	key, ok := v.keys.Key(kid)
	if !ok {
		return nil, fmt.Errorf("%w: unknown kid", ErrForged)
	}
	return key, nil
}

// maxKeyIDLength bounds what is looked up; a thumbprint has 43 characters.
const maxKeyIDLength = 64

// refusal maps the library's error to ours, most telling first. A signature
// that fails hides everything the payload says.
func refusal(err error) error {
	for _, m := range []struct{ theirs, ours error }{
		{ErrMalformed, ErrMalformed},
		{ErrForged, ErrForged},
		{jwt.ErrTokenMalformed, ErrMalformed},
		{jwt.ErrTokenUnverifiable, ErrForged},
		{jwt.ErrTokenSignatureInvalid, ErrForged},
		{jwt.ErrTokenRequiredClaimMissing, ErrMalformed},
		{jwt.ErrTokenExpired, ErrExpired},
		{jwt.ErrTokenInvalidAudience, ErrForeign},
		{jwt.ErrTokenInvalidIssuer, ErrForeign},
		{jwt.ErrTokenNotValidYet, ErrNotYet},
		{jwt.ErrTokenUsedBeforeIssued, ErrNotYet},
	} {
		if errors.Is(err, m.theirs) {
			return m.ours
		}
	}
	return ErrMalformed
}

// refuseDuplicateParts looks at the header and payload of a token that parsed.
func refuseDuplicateParts(token string) error {
	for part := range strings.SplitSeq(token[:strings.LastIndexByte(token, '.')], ".") {
		object, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || refuseDuplicates(object) != nil {
			return ErrMalformed
		}
	}
	return nil
}
