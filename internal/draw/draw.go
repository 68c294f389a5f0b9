// Package draw makes the lottery that turns a lobby into places, so that anybody
// can recompute it afterwards and nobody can steer it.
//
//	before the lobby   publish  commitment = SHA-256(secret), the rules, and which beacon will be used
//	at its end         freeze the cohort; publish its count and Merkle root
//	then               seed  = HKDF-SHA256(secret ‖ beacon ‖ root)
//	                   score = tier · 2^50 + first 48 bits of HMAC-SHA256(seed, visitor)
//	after              publish secret, beacon, seed and the cohort
//
// The secret is fixed before anybody is in, the root (which covers everybody's
// tier) before the beacon is known, and the beacon is nobody's: an operator who
// would like another order has to change one of them, and Verify says which.
//
// What remains possible is to enter made-up fans before the lobby ends. The
// count is public all the while; no draw can tell a made-up fan from a real one.
// Without a beacon that is worse: whoever knows the secret could try many
// made-up fans, and keep the one with which the order is to their liking. And a
// beacon that is held back leaves its operator the choice between two orders,
// that with it and that without. Verify remarks on both, and docs/draw.md says
// so to fans.
package draw

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Version is that of the record and of everything computed from it.
const Version = 1

// SecretLength is in bytes.
const SecretLength = 32

// Record is a draw as it is published. It grows: the commitment is there before
// the lobby, root and count at its end, the rest after the draw. FrozenAt and
// DrawnAt are the caller's to set; no score depends on them, or they would be
// something to try until the order pleases.
type Record struct {
	Version    int       `json:"version"`
	Room       string    `json:"room"`
	LobbyOpens time.Time `json:"lobbyOpens"`
	Opens      time.Time `json:"opens"`
	Commitment Hash      `json:"commitment"`
	Beacon     Beacon    `json:"beacon"`
	Count      *int      `json:"count,omitempty"`
	Root       *Hash     `json:"root,omitempty"`
	FrozenAt   time.Time `json:"frozenAt,omitzero"`
	Secret     Bytes     `json:"secret,omitempty"`
	Seed       Bytes     `json:"seed,omitempty"`
	DrawnAt    time.Time `json:"drawnAt,omitzero"`
	// Sum is written by MarshalJSON and checked by Verify: see checksum.
	Sum Hash `json:"sum,omitzero"`
}

// Commit begins a draw. Of the beacon it takes what is known in advance: none if it is zero.
func Commit(room string, lobbyOpens, opens time.Time, secret []byte, beacon Beacon) (Record, error) {
	if len(secret) != SecretLength {
		return Record{}, fmt.Errorf("the secret of a draw has %d bytes, not %d", SecretLength, len(secret))
	}
	if err := beacon.announceable(); err != nil {
		return Record{}, err
	}
	if d, of := beacon.Drand(); of && !d.Time().After(opens) {
		return Record{}, fmt.Errorf("%s comes out at %s, before the cohort is fixed: name a round after %s",
			beacon.Source, d.Time().Format(time.RFC3339), opens.UTC().Format(time.RFC3339))
	}
	return Record{
		Version: Version, Room: room, LobbyOpens: lobbyOpens.UTC(), Opens: opens.UTC(),
		Commitment: sha256.Sum256(secret), Beacon: beacon,
	}, nil
}

// Frozen says whether the cohort is fixed.
func (r Record) Frozen() bool { return r.Root != nil && r.Count != nil }

// Finished says whether the scores are known.
func (r Record) Finished() bool { return r.Frozen() && len(r.Seed) > 0 }

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
	case (r.Beacon.Source == "") != (len(beacon) == 0):
		return Record{}, errors.New("a draw has a beacon if one was announced, and only then")
	case len(beacon) > MaxBeacon:
		return Record{}, fmt.Errorf("the beacon is longer than %d bytes", MaxBeacon)
	}
	return r.finish(secret, beacon)
}

// FinishWithout finishes a draw whose beacon has not come within the time that
// was announced: by commitment alone. The caller has waited for
// Beacon.Deadline, and from then on takes no beacon any more.
func (r Record) FinishWithout(secret []byte) (Record, error) {
	if r.Beacon.Source == "" || r.Beacon.Within == 0 {
		return Record{}, errors.New("that this draw may go on without its beacon was not announced")
	}
	r.Beacon.Missed = true
	return r.finish(secret, nil)
}

func (r Record) finish(secret, beacon []byte) (Record, error) {
	switch {
	case !r.Frozen():
		return Record{}, errors.New("the cohort is not frozen yet")
	case sha256.Sum256(secret) != r.Commitment:
		return Record{}, errors.New("this is not the secret that was committed to")
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
func (r Record) Score(e Entrant) place.Score {
	return e.Tier.Base() + place.DrawScore(r.Seed, e.Visitor)
}

// Drawn is what one fan needs to check their own place.
type Drawn struct {
	Visitor string      `json:"visitor"`
	Tier    place.Tier  `json:"tier"`
	Score   place.Score `json:"score"`
	Proof   Proof       `json:"proof"`
}

// Drawn tells what became of a visitor; ErrNotInCohort if they did not take part.
func (r Record) Drawn(c *Cohort, v place.Visitor) (Drawn, error) {
	if !r.Finished() {
		return Drawn{}, errors.New("the draw is not finished yet")
	}
	e, found := c.Find(v)
	if !found {
		return Drawn{}, ErrNotInCohort
	}
	proof, err := c.Prove(v)
	return Drawn{v.String(), e.Tier, r.Score(e), proof}, err
}
