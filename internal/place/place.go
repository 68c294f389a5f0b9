// Package place is a visitor's spot in the order, and the signed token that
// lets the visitor carry it: visitors, scores and tokens. It knows no Redis, no
// HTTP and no Caddy; it imports only the standard library and may be imported
// by everything.
//
// The token is self-certifying (it needs no look-up), so any edge can place any
// fan, and a queue that was lost is filled again from the tokens that fans bring
// back. The invariant: nobody without the room's key can make a token that
// opens, and a token that opens for one room opens for no other.
package place

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Visitor is one browser or app in a room: 128 random bits given by the edge.
// It is an identifier, not a secret: possession is shown by the token.
type Visitor [16]byte

// visitorLength is that of 16 bytes in unpadded base64.
const visitorLength = 22

// ErrVisitor is returned for a string that is no visitor.
var ErrVisitor = errors.New("not a visitor id")

// NewVisitor draws a visitor from rand, which is crypto/rand.Reader outside tests.
func NewVisitor(rand io.Reader) (Visitor, error) {
	var v Visitor
	if _, err := io.ReadFull(rand, v[:]); err != nil {
		return Visitor{}, fmt.Errorf("drawing a visitor: %w", err)
	}
	return v, nil
}

// String is the visitor in 22 characters of unpadded base64url.
func (v Visitor) String() string { return base64.RawURLEncoding.EncodeToString(v[:]) }

// ParseVisitor reads what String wrote, and nothing else.
func ParseVisitor(s string) (Visitor, error) {
	var v Visitor
	if len(s) != visitorLength {
		return Visitor{}, ErrVisitor
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(v[:], []byte(s)); err != nil {
		return Visitor{}, ErrVisitor
	}
	return v, nil
}

// Score orders places: the smaller is the earlier. All scores are below
// ScoreLimit, so a Redis double holds them exactly.
//
//	tier 3 bits | 0 … 2^48   drawn
//	            | 2^48 …     live: 2^48 + microseconds since Origin
//	            | 2^50 - 1   in the lobby, not drawn yet
//
// The live range of a tier is 2^50-2^48 µs, 26 years from Origin.
type Score uint64

// The ranges of scores within a tier, and the end of all.
const (
	LiveBase   Score = 1 << 48
	tierSize   Score = 1 << 50
	ScoreLimit Score = Tiers * tierSize
)

// Tier is a part of the order: everybody of one tier comes before everybody of
// the next. Without tiers of the operator's own, fans are in the first.
type Tier uint8

const (
	// Tiers is how many there can be.
	Tiers = 8
	// Deprioritised is the last tier.
	Deprioritised Tier = Tiers - 1
)

// Base is the first score of the tier.
func (t Tier) Base() Score { return Score(t) * tierSize }

// Undrawn is the score of all who are in the lobby until they are drawn.
func (t Tier) Undrawn() Score { return t.Base() + tierSize - 1 }

// Tier is the score's.
func (s Score) Tier() Tier { return Tier(min(s/tierSize, Tiers-1)) }

// Undrawn says whether the place is in the lobby and has not been drawn.
func (s Score) Undrawn() bool { return s != 0 && s%tierSize == tierSize-1 }

// Fronts are how far admission has come in each tier. Tiers are admitted one
// after the other, but a fan of an earlier one may come late: one front for all
// would take it for somebody who has been in.
type Fronts [Tiers]Score

// Passed says whether a place has had its turn.
func (f *Fronts) Passed(s Score) bool { return s != 0 && s <= f[s.Tier()] }

// Raise moves the fronts up to those of more, and says whether any moved.
func (f *Fronts) Raise(more Fronts) (raised bool) {
	for t := range f {
		if more[t] > f[t] {
			f[t], raised = more[t], true
		}
	}
	return raised
}

// Origin is where live scores begin to count, in every room and for ever.
var Origin = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// LiveScore is the score of a place of the first tier taken at t, to the
// microsecond. Times before Origin and beyond the range give its ends.
func LiveScore(t time.Time) Score {
	µs := t.Sub(Origin).Microseconds()
	return LiveBase + Score(min(max(µs, 0), int64(tierSize-LiveBase)-2))
}

// LiveTime is the time of a live score, and zero for any other.
func LiveTime(s Score) time.Time {
	within := s % tierSize
	if within < LiveBase || s.Undrawn() {
		return time.Time{}
	}
	return Origin.Add(time.Duration(within-LiveBase) * time.Microsecond)
}

// DrawScore is the visitor's score in a draw, within its tier: the first 48 bits of
// HMAC-SHA256(seed, visitor). Visitors are given by the edge, so nobody can
// choose one that scores well; 2^48 values give two of a million entrants the
// same score with a chance of 1 in 560, and then the visitor decides.
func DrawScore(seed []byte, v Visitor) Score {
	mac := hmac.New(sha256.New, seed)
	mac.Write(v[:])
	sum := mac.Sum(nil)
	return Score(binary.BigEndian.Uint64(sum[:8]) >> 16)
}

// CookieName is the name of the cookie that carries the token of a room. Over
// TLS the prefix makes browsers refuse it from anywhere but this very host.
func CookieName(room string, secure bool) string {
	if secure {
		return "__Host-place-" + room
	}
	return "place-" + room
}
