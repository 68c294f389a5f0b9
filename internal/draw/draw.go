// Package draw makes the lottery that turns a lobby into places, so that anybody
// can recompute it afterwards and nobody can steer it.
//
//	before the lobby   publish  commitment = SHA-256(secret), the rules, and which beacon will be used
//	at its end         freeze the cohort; publish its count and Merkle root
//	then               seed  = HKDF-SHA256(secret ‖ beacon ‖ root)
//	                   score = first 48 bits of HMAC-SHA256(seed, visitor)
//	after              publish secret, beacon, seed and the cohort
//
// The secret is fixed before anybody is in, the root before the beacon is
// known, and the beacon is nobody's: an operator who would like another order
// has to change one of them, and Verify says which. Without a beacon the order
// is as good as the commitment: the operator could have tried secrets before
// committing, but not after a single fan was in, and the record says so.
//
// What remains possible is to enter made-up fans before the lobby ends. The
// count is public all the while; no draw can tell a made-up fan from a real one.
package draw

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Version is that of the record and of everything computed from it.
const Version = 1

// SecretLength is in bytes.
const SecretLength = 32

// MaxBeacon bounds what an operator may announce, in bytes.
const MaxBeacon = 1024

// Bytes is binary in a record, as lower-case hexadecimal.
type Bytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	out, err := hex.AppendDecode(nil, text)
	*b = out
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(h) {
		return fmt.Errorf("a hash has %d hexadecimal digits, not %d", hex.EncodedLen(len(h)), len(text))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Record is a draw as it is published. It grows: the commitment is there before
// the lobby, root and count at its end, the rest after the draw.
type Record struct {
	Version    int       `json:"version"`
	Room       string    `json:"room"`
	LobbyOpens time.Time `json:"lobbyOpens"`
	Opens      time.Time `json:"opens"`
	Commitment Hash      `json:"commitment"`
	Beacon     Beacon    `json:"beacon"`
	Count      *int      `json:"count,omitempty"`
	Root       *Hash     `json:"root,omitempty"`
	Secret     Bytes     `json:"secret,omitempty"`
	Seed       Bytes     `json:"seed,omitempty"`
}

// Beacon is the public randomness: what was announced, and its value once known.
// An empty Source means that there is none.
type Beacon struct {
	Source string `json:"source,omitempty"` // in words that let anybody find it, e.g. "drand quicknet round 12345678"
	Value  Bytes  `json:"value,omitempty"`
}

// Commit begins a draw.
func Commit(room string, lobbyOpens, opens time.Time, secret []byte, beaconSource string) (Record, error) {
	if len(secret) != SecretLength {
		return Record{}, fmt.Errorf("the secret of a draw has %d bytes, not %d", SecretLength, len(secret))
	}
	return Record{
		Version: Version, Room: room, LobbyOpens: lobbyOpens.UTC(), Opens: opens.UTC(),
		Commitment: sha256.Sum256(secret), Beacon: Beacon{Source: beaconSource},
	}, nil
}

// Freeze returns the record with its cohort fixed.
func (r Record) Freeze(c *Cohort) Record {
	count, root := c.Len(), c.Root()
	r.Count, r.Root = &count, &root
	return r
}

// Finish returns the record with the seed, from which every score follows. It
// may be called again, by whoever goes on after a crash, and gives the same.
func (r Record) Finish(secret, beacon []byte) (Record, error) {
	switch {
	case r.Root == nil:
		return Record{}, errors.New("the cohort is not frozen yet")
	case sha256.Sum256(secret) != r.Commitment:
		return Record{}, errors.New("this is not the secret that was committed to")
	case (r.Beacon.Source == "") != (len(beacon) == 0):
		return Record{}, errors.New("a draw has a beacon if one was announced, and only then")
	case len(beacon) > MaxBeacon:
		return Record{}, fmt.Errorf("the beacon is longer than %d bytes", MaxBeacon)
	}
	seed, err := seedOf(r.Room, secret, beacon, *r.Root)
	if err != nil {
		return Record{}, err
	}
	r.Secret, r.Beacon.Value, r.Seed = secret, beacon, seed
	return r, nil
}

// seedOf is HKDF-SHA256 (RFC 5869) without salt. The secret and the root have
// fixed lengths, so what lies between them is the beacon and nothing else.
func seedOf(room string, secret, beacon []byte, root Hash) ([]byte, error) {
	material := make([]byte, 0, len(secret)+len(beacon)+len(root))
	material = append(append(append(material, secret...), beacon...), root[:]...)
	seed, err := hkdf.Key(sha256.New, material, nil, "caddy-tickets draw 1 "+room, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("making the seed: %w", err)
	}
	return seed, nil
}

// Score is an entrant's place in the order.
func (r Record) Score(v place.Visitor) place.Score { return place.DrawScore(r.Seed, v) }
