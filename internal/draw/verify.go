package draw

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Check is one thing that was looked at.
type Check struct {
	What  string `json:"what"`            // a sentence that is true if nothing is wrong
	Wrong string `json:"wrong,omitempty"` // what is, and what must have been changed; empty if it holds
}

// Report is what became of recomputing a draw.
type Report struct {
	Checks []Check `json:"checks"`
	// Remarks are true of a draw in which everything holds: what it cannot prove.
	Remarks []string `json:"remarks,omitempty"`
	// Cohort is what was read of the file; nil if it cannot be read.
	Cohort *Cohort `json:"-"`
}

// Err joins what is wrong.
func (r *Report) Err() error {
	var errs []error
	for _, c := range r.Checks {
		if c.Wrong != "" {
			errs = append(errs, errors.New(c.Wrong))
		}
	}
	return errors.Join(errs...)
}

func (r *Report) check(holds bool, what, wrong string, args ...any) {
	c := Check{What: what}
	if !holds {
		c.Wrong = fmt.Sprintf(wrong, args...)
	}
	r.Checks = append(r.Checks, c)
}

func (r *Report) remark(format string, args ...any) {
	r.Remarks = append(r.Remarks, fmt.Sprintf(format, args...))
}

// Verify recomputes a finished draw from what is public: the record as somebody
// kept it from before (zero if nobody did), the record as it is now, and the
// cohort. The error names everything that does not hold, each in a sentence that
// says what must have been changed.
func Verify(before, now Record, c *Cohort) (remarks []string, err error) {
	r := &Report{Cohort: c}
	r.examine(before, now, nil)
	return r.Remarks, r.Err()
}

// Examine is Verify of the cohort's public file, telling all that it looked at.
func Examine(before, now Record, file []byte) *Report {
	cohort, err := ParseCohort(file)
	r := &Report{Cohort: cohort}
	r.examine(before, now, err)
	return r
}

func (r *Report) examine(before, now Record, unread error) {
	if now.Version != Version {
		r.check(false, "The record is of a version that this program knows.", "the record has version %d: this program knows version %d", now.Version, Version)
		return
	}
	if !now.Finished() {
		r.check(false, "The draw is finished.", "the draw is not finished: root, count or seed is missing")
		return
	}
	r.rules(before, now)
	r.secret(now)
	r.cohort(now, unread)
	r.beacon(now)
	r.seed(now)
	r.times(now)
	r.sum(now)
}

// rules compares with what was kept from before.
func (r *Report) rules(before, now Record) {
	if before.Version == 0 {
		r.remark("No earlier copy of the record was compared. That commitment and rules were published before the lobby opened is known only to those who kept one.")
		return
	}
	changed := false
	for _, name := range before.changed(now) {
		changed = true
		r.check(false, "Nothing was changed since the earlier record.", "%s was changed after it was published", name)
	}
	if !changed {
		r.check(true, "Nothing that the earlier record says was changed.", "")
	}
}

func (r *Report) secret(now Record) {
	r.check(sha256.Sum256(now.Secret) == now.Commitment, "The secret is the one that was committed to.",
		"the secret was changed: its SHA-256 is not the commitment")
}

func (r *Report) cohort(now Record, unread error) {
	c := r.Cohort
	if c == nil {
		r.check(false, "The cohort can be read.", "%v", unread)
		return
	}
	r.check(c.Len() == *now.Count, fmt.Sprintf("The cohort has the %d entrants that were frozen.", *now.Count),
		"the cohort was changed: %d entrants are in it, %d were frozen", c.Len(), *now.Count)
	r.check(c.Root() == *now.Root, "Its Merkle root is the one that was frozen: nobody was added, left out or put into another tier.",
		"the cohort was changed: its Merkle root is %s, and %s was frozen", c.Root(), *now.Root)
}

func (r *Report) beacon(now Record) {
	b := now.Beacon
	switch {
	case b.Missed:
		r.check(b.Source != "" && b.Within > 0 && len(b.Value) == 0, "The draw went on without its beacon, as was announced for a beacon that does not come in time.",
			"the beacon is said to have been missed, but none was announced, or it has a value, or that the draw may go on without it was not announced")
		r.remark("The beacon (%s) did not come within %d seconds, so the order rests on the commitment alone. "+
			"An operator who held it back had the choice between two orders: the one with it and this one. Look up when the beacon was published.", b.Source, b.Within)
	case b.Source == "":
		r.check(len(b.Value) == 0, "No beacon was announced, and none was used.", "a beacon was used that was not announced")
		r.remark("This draw has no public beacon: it rests on the commitment alone. " +
			"Whoever knew the secret could compute the order before the lobby ended, and change it by adding made-up fans.")
	default:
		r.check(len(b.Value) > 0 && len(b.Value) <= MaxBeacon, "The beacon that was announced was used.", "the beacon was announced and not used")
		d, of := b.Drand()
		if !of {
			r.remark("That the value of the beacon is that of %q has to be looked up there: this record cannot prove it.", b.Source)
			break
		}
		r.remark("Look the beacon up: %s has to say \"randomness\":\"%x\".", d.URL(), []byte(b.Value))
		if !now.FrozenAt.IsZero() && !d.Time().After(now.FrozenAt) {
			r.remark("The beacon came out at %s, and the cohort was frozen only at %s: in between the operator could know the order, and change it by adding made-up fans.",
				stamp(d.Time()), stamp(now.FrozenAt))
		}
	}
}

func (r *Report) seed(now Record) {
	seed, err := seedOf(now.Room, now.Secret, now.Beacon.Value, *now.Root)
	r.check(err == nil && bytes.Equal(seed, now.Seed), "The seed follows from secret, beacon and root, and every score from the seed.",
		"the seed does not follow from room, secret, beacon and root: one of them, or the seed itself, was changed")
}

func (r *Report) times(now Record) {
	times := []time.Time{now.LobbyOpens, now.Opens, now.FrozenAt, now.DrawnAt}
	times = slices.DeleteFunc(times, time.Time.IsZero)
	r.check(slices.IsSortedFunc(times, time.Time.Compare), "Lobby, opening, freezing and draw came in this order.",
		"the times cannot be: the lobby opened %s, the sale %s, the cohort was frozen %s and drawn %s", stamp(now.LobbyOpens), stamp(now.Opens), stamp(now.FrozenAt), stamp(now.DrawnAt))
	deadline := now.Beacon.Deadline(now.Opens)
	if deadline.IsZero() || now.DrawnAt.IsZero() {
		return
	}
	if now.Beacon.Missed {
		r.check(!now.DrawnAt.Before(deadline), "It waited for the beacon for as long as was announced.",
			"the draw went on without its beacon at %s, and was to wait until %s", stamp(now.DrawnAt), stamp(deadline))
	} else {
		// Who uses it after the end could have chosen between two orders as well.
		r.check(now.DrawnAt.Before(deadline), "The beacon came within the time that was announced for it.",
			"the beacon was used at %s, and the draw was to go on without it from %s on", stamp(now.DrawnAt), stamp(deadline))
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (r *Report) sum(now Record) {
	if now.Sum == (Hash{}) { // a record that was never written
		return
	}
	sum, err := now.checksum()
	r.check(err == nil && sum == now.Sum, "The record is whole.",
		"the record does not match its own sum: where nothing else here is wrong, a time, the beacon's source, url or wait, or the sum itself was changed")
}

// changed names what a later record says otherwise.
func (r Record) changed(now Record) (names []string) {
	for _, field := range []struct {
		name string
		same bool
	}{
		{"the room", r.Room == now.Room},
		{"the opening of the lobby", r.LobbyOpens.Equal(now.LobbyOpens)},
		{"the time of the draw", r.Opens.Equal(now.Opens)},
		{"the commitment", r.Commitment == now.Commitment},
		{"the beacon's source", r.Beacon.Source == now.Beacon.Source},
		{"the beacon's url", r.Beacon.URL == now.Beacon.URL},
		{"how long the draw waits for the beacon", r.Beacon.Within == now.Beacon.Within},
		{"the count", r.Count == nil || now.Count != nil && *r.Count == *now.Count},
		{"the root", r.Root == nil || now.Root != nil && *r.Root == *now.Root},
		{"the time of freezing", r.FrozenAt.IsZero() || r.FrozenAt.Equal(now.FrozenAt)},
		{"the beacon's value", len(r.Beacon.Value) == 0 || bytes.Equal(r.Beacon.Value, now.Beacon.Value)},
		{"that the beacon was missed", !r.Beacon.Missed || now.Beacon.Missed},
		{"the secret", len(r.Secret) == 0 || bytes.Equal(r.Secret, now.Secret)},
		{"the seed", len(r.Seed) == 0 || bytes.Equal(r.Seed, now.Seed)},
		{"the time of the draw's end", r.DrawnAt.IsZero() || r.DrawnAt.Equal(now.DrawnAt)},
	} {
		if !field.same {
			names = append(names, field.name)
		}
	}
	return names
}
