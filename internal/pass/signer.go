package pass

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// Signer signs passes with the ring it holds. Use swaps the ring while it is in
// use, so a rotation needs no restart. Safe for concurrent use.
type Signer struct {
	ring  atomic.Pointer[KeyRing]
	clock clock.Clock
}

// NewSigner returns a signer that uses ring, by clk's time.
func NewSigner(ring *KeyRing, clk clock.Clock) *Signer {
	s := &Signer{clock: clk}
	s.ring.Store(ring)
	return s
}

// Use replaces the ring.
func (s *Signer) Use(ring *KeyRing) { s.ring.Store(ring) }

// Ring is the ring in use.
func (s *Signer) Ring() *KeyRing { return s.ring.Load() }

// Key implements KeySource with the ring in use.
func (s *Signer) Key(kid string) (ed25519.PublicKey, bool) { return s.ring.Load().Key(kid) }

// JWKS is the public key set of the ring in use.
func (s *Signer) JWKS() []byte { return s.ring.Load().JWKS() }

// Sign makes the pass that says c. Room, Visitor, ID and both times are needed.
func (s *Signer) Sign(c Claims) (string, error) {
	switch life := c.Expires.Sub(c.began()); {
	case c.Room == "" || c.Visitor == "" || c.ID == "":
		return "", errors.New("signing a pass: room, visitor and id must be set")
	case c.IssuedAt.IsZero() || !c.Expires.After(c.IssuedAt):
		return "", errors.New("signing a pass: it would expire before it is issued")
	case c.began().After(c.IssuedAt):
		return "", errors.New("signing a pass: its session would begin after it")
	case life > MaxLife:
		return "", fmt.Errorf("signing a pass: a life of %v is longer than %v", life.Round(time.Second), MaxLife)
	}
	key := s.ring.Load().signing(s.clock.Now())
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, toWire(c))
	token.Header["typ"] = Type
	token.Header["kid"] = key.id
	signed, err := token.SignedString(key.private)
	if err != nil {
		return "", fmt.Errorf("signing a pass: %w", err)
	}
	if len(signed) > MaxTokenLength {
		return "", fmt.Errorf("signing a pass: %d bytes, more than %d; the room's name or the binding is too long", len(signed), MaxTokenLength)
	}
	return signed, nil
}
