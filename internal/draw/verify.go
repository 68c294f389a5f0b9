package draw

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Placed is an entrant with the score that it was given.
type Placed struct {
	Visitor place.Visitor
	Score   place.Score
}

// Verify recomputes a finished draw from what is public: the record as it was
// published before the lobby (zero if nobody kept it), the record as it is now,
// and the order that was used. The error names everything that does not hold,
// each in a sentence that says what must have been changed.
func Verify(before, now Record, order []Placed) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if now.Version != Version {
		return fmt.Errorf("a record of version %d: this program knows %d", now.Version, Version)
	}
	if now.Root == nil || now.Count == nil || len(now.Seed) == 0 {
		return errors.New("the draw is not finished: root, count or seed is missing")
	}
	if before.Version != 0 {
		errs = append(errs, before.kept(now)...)
	}
	if sha256.Sum256(now.Secret) != now.Commitment {
		wrong("the secret was changed: its SHA-256 is not the commitment")
	}
	if (now.Beacon.Source == "") != (len(now.Beacon.Value) == 0) {
		wrong("the beacon was announced and not used, or used and not announced")
	}
	visitors := make([]place.Visitor, len(order))
	for i, one := range order {
		visitors[i] = one.Visitor
	}
	cohort := NewCohort(visitors)
	if len(order) != cohort.Len() {
		wrong("%d entrants are in the order more than once", len(order)-cohort.Len())
	}
	if cohort.Len() != *now.Count {
		wrong("the cohort was changed: %d entrants are in the order, %d were frozen", cohort.Len(), *now.Count)
	}
	if cohort.Root() != *now.Root {
		wrong("the cohort was changed: its Merkle root is %x, not %x", cohort.Root(), *now.Root)
	}
	seed, err := seedOf(now.Room, now.Secret, now.Beacon.Value, *now.Root)
	if err != nil {
		return err
	}
	if !bytes.Equal(seed, now.Seed) {
		wrong("the seed does not follow from secret, beacon and root: one of them was changed")
	}
	bad, first := 0, Placed{}
	for _, one := range order {
		if one.Score != place.DrawScore(seed, one.Visitor) {
			if bad == 0 {
				first = one
			}
			bad++
		}
	}
	if bad > 0 {
		wrong("%d of %d scores are not what the seed gives; the first is that of visitor %s: %d, and %d was drawn",
			bad, len(order), first.Visitor, first.Score, place.DrawScore(seed, first.Visitor))
	}
	return errors.Join(errs...)
}

// kept lists what a later record must not change.
func (r Record) kept(now Record) []error {
	var errs []error
	for _, field := range []struct {
		name string
		same bool
	}{
		{"the room", r.Room == now.Room},
		{"the opening of the lobby", r.LobbyOpens.Equal(now.LobbyOpens)},
		{"the time of the draw", r.Opens.Equal(now.Opens)},
		{"the commitment", r.Commitment == now.Commitment},
		{"the beacon's source", r.Beacon.Source == now.Beacon.Source},
		{"the count", r.Count == nil || now.Count != nil && *r.Count == *now.Count},
		{"the root", r.Root == nil || now.Root != nil && *r.Root == *now.Root},
	} {
		if !field.same {
			errs = append(errs, fmt.Errorf("%s was changed after it was published", field.name))
		}
	}
	return errs
}
