package draw

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// published is what everybody can fetch after a draw.
func published(t *testing.T, record Record, cohort *Cohort) (text, file []byte) {
	t.Helper()
	text, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	if file, err = cohort.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	return text, file
}

// recheck is what somebody does who has nothing but that.
func recheck(before Record, text, file []byte) ([]string, error) {
	record, err := ParseRecord(text)
	if err != nil {
		return nil, err
	}
	cohort, err := ParseCohort(file)
	if err != nil {
		return nil, err
	}
	return Verify(before, record, cohort)
}

// Q7: the draw can be recomputed by anyone from public data.
func TestQ7TheDrawCanBeRecomputedFromPublicData(t *testing.T) {
	for _, n := range []int{0, 1, 3000} {
		before, record, cohort := drawn(t, n)
		text, file := published(t, record, cohort)
		if _, err := recheck(before, text, file); err != nil {
			t.Fatalf("of %d: %v", n, err)
		}
		remarks, err := recheck(Record{}, text, file)
		if err != nil || !strings.Contains(strings.Join(remarks, " "), "No earlier copy") {
			t.Fatalf("of %d, without the earlier record: %v, %q", n, err, remarks)
		}
	}
}

// after is a draw that an operator has changed.
type after struct {
	record   Record
	entrants []Entrant
}

func (a after) verify(before Record) error {
	_, err := Verify(before, a.record, NewCohort(slices.Clone(a.entrants)))
	return err
}

// changes are ways of an operator, and what Verify has to say to each.
type changes map[string]struct {
	change func(*after)
	says   string
}

func caught(t *testing.T, all changes) {
	t.Helper()
	before, record, cohort := drawn(t, 500)
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			a := after{record, slices.Clone(cohort.Entrants())}
			c.change(&a)
			if err := a.verify(before); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("want %q, got: %v", c.says, err)
			}
		})
	}
}

func TestQ7AnOperatorWhoChangesTheCohortIsCaught(t *testing.T) {
	refrozen := func(a *after) { // with all that follows computed anew
		fresh, err := a.record.Freeze(NewCohort(slices.Clone(a.entrants))).Finish(secret, beacon)
		if err != nil {
			t.Fatal(err)
		}
		a.record = fresh
	}
	before, record, cohort := drawn(t, 500)
	caught(t, changes{
		"a friend let in later": {func(a *after) { a.entrants = append(a.entrants, Entrant{Visitor: place.Visitor{1}}) }, "501 entrants are in it, 500 were frozen"},
		"a fan left out":        {func(a *after) { a.entrants = a.entrants[1:] }, "499 entrants are in it, 500 were frozen"},
		"a fan exchanged":       {func(a *after) { a.entrants[3].Visitor[0] ^= 1 }, "its Merkle root is"},
		"a friend's tier":       {func(a *after) { a.entrants[3].Tier = (a.entrants[3].Tier + 1) % 3 }, "its Merkle root is"},
		"another root":          {func(a *after) { root := *a.record.Root; root[0] ^= 1; a.record.Root = &root }, "its Merkle root is"},
		"another count":         {func(a *after) { count := 7; a.record.Count = &count }, "7 were frozen"},
	})
	// Who computes everything anew is caught by whoever kept the frozen record.
	frozen := before.Freeze(cohort)
	a := after{record, append(slices.Clone(cohort.Entrants()), Entrant{Visitor: place.Visitor{1}})}
	refrozen(&a)
	if err := a.verify(frozen); err == nil || !strings.Contains(err.Error(), "the count was changed after it was published") ||
		!strings.Contains(err.Error(), "the root was changed after it was published") {
		t.Errorf("a cohort that was changed together with the record: %v", err)
	}
}

func TestQ7AnOperatorWhoChangesTheSecretIsCaught(t *testing.T) {
	other := bytes.Repeat([]byte{8}, SecretLength)
	caught(t, changes{
		"another secret": {func(a *after) { a.record.Secret = other }, "the secret was changed"},
		"another secret throughout": {func(a *after) {
			a.record.Secret, a.record.Commitment = other, sha256.Sum256(other)
			fresh, err := a.record.Finish(other, beacon)
			if err != nil {
				t.Fatal(err)
			}
			a.record = fresh
		}, "the commitment was changed after it was published"},
		"another seed": {func(a *after) { a.record.Seed = sha256.New().Sum(nil) }, "the seed does not follow"},
	})
}

func TestQ7AnOperatorWhoChangesTheBeaconIsCaught(t *testing.T) {
	without := func(a *after) {
		fresh, err := a.record.FinishWithout(secret)
		if err != nil {
			t.Fatal(err)
		}
		a.record = fresh
	}
	caught(t, changes{
		"another value":                  {func(a *after) { a.record.Beacon.Value = Bytes("mine") }, "the seed does not follow"},
		"no beacon after all":            {func(a *after) { a.record.Beacon.Value = nil }, "the beacon was announced and not used"},
		"another round of it":            {func(a *after) { a.record.Beacon.Source = "round 2" }, "the beacon's source was changed"},
		"from elsewhere":                 {func(a *after) { a.record.Beacon.URL = "https://example.com" }, "the beacon's url was changed"},
		"a shorter wait":                 {func(a *after) { a.record.Beacon.Within = 1 }, "how long the draw waits for the beacon was changed"},
		"missed, before the wait is up":  {without, "was to wait until"},
		"used after the wait was up":     {func(a *after) { a.record.DrawnAt = a.record.Beacon.Deadline(a.record.Opens) }, "was to go on without it from"},
		"missed, and with a value":       {func(a *after) { a.record.Beacon.Missed = true }, "said to have been missed"},
		"missed, with another's seed":    {func(a *after) { a.record.Beacon.Missed, a.record.Beacon.Value = true, nil }, "the seed does not follow"},
		"missed, and none was announced": {func(a *after) { without(a); a.record.Beacon.Source = "" }, "said to have been missed"},
	})
}

func TestQ7AnOperatorWhoChangesTheRulesIsCaught(t *testing.T) {
	caught(t, changes{
		"another room":       {func(a *after) { a.record.Room = "club" }, "the room was changed"},
		"an earlier draw":    {func(a *after) { a.record.Opens = a.record.Opens.Add(-time.Second) }, "the time of the draw was changed"},
		"another lobby":      {func(a *after) { a.record.LobbyOpens = a.record.LobbyOpens.Add(time.Second) }, "the opening of the lobby was changed"},
		"frozen too early":   {func(a *after) { a.record.FrozenAt = a.record.Opens.Add(-time.Second) }, "the times cannot be"},
		"an unfinished draw": {func(a *after) { a.record.Seed = nil }, "not finished"},
		"a version to come":  {func(a *after) { a.record.Version = 2 }, "version 2"},
	})
}

// Whoever kept the finished record sees what was changed in it, even if the rest
// was changed to fit.
func TestQ7AFinishedDrawThatIsPublishedAnewIsCaught(t *testing.T) {
	_, record, cohort := drawn(t, 50)
	for want, change := range map[string]func(*Record){
		"the time of freezing":       func(r *Record) { r.FrozenAt = r.FrozenAt.Add(1) },
		"the beacon's value":         func(r *Record) { r.Beacon.Value = Bytes("mine") },
		"the secret":                 func(r *Record) { r.Secret = bytes.Repeat([]byte{8}, SecretLength) },
		"the seed":                   func(r *Record) { r.Seed = bytes.Repeat([]byte{8}, 32) },
		"the time of the draw's end": func(r *Record) { r.DrawnAt = r.DrawnAt.Add(1) },
	} {
		now := record
		change(&now)
		if _, err := Verify(record, now, cohort); err == nil || !strings.Contains(err.Error(), want+" was changed after it was published") {
			t.Errorf("%s: %v", want, err)
		}
	}
	missed, err := record.FinishWithout(secret)
	if err != nil {
		t.Fatal(err)
	}
	missed.DrawnAt = time.Time{}
	if _, err := Verify(missed, record, cohort); err == nil || !strings.Contains(err.Error(), "that the beacon was missed was changed") {
		t.Error(err)
	}
}

// A beacon that does not come is no mistake of the draw, but everybody has to know.
func TestADrawThatMissedItsBeaconHoldsAndSaysSo(t *testing.T) {
	before, _, cohort := drawn(t, 50)
	record, err := before.Freeze(cohort).FinishWithout(secret)
	if err != nil {
		t.Fatal(err)
	}
	record.DrawnAt = record.Beacon.Deadline(record.Opens)
	text, file := published(t, record, cohort)
	remarks, err := recheck(before, text, file)
	if err != nil {
		t.Fatal(err)
	}
	if len(remarks) != 1 || !strings.Contains(remarks[0], "choice between two orders") {
		t.Errorf("the remarks are %q", remarks)
	}
}

func TestADrawWithoutABeaconHoldsAndSaysWhatItCannotProve(t *testing.T) {
	before, err := Commit("arena", lobby, opens, secret, Beacon{})
	if err != nil {
		t.Fatal(err)
	}
	cohort := NewCohort(entrants(t, 50))
	record, err := before.Freeze(cohort).Finish(secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, file := published(t, record, cohort)
	remarks, err := recheck(before, text, file)
	if err != nil || len(remarks) != 1 || !strings.Contains(remarks[0], "no public beacon") {
		t.Errorf("%v, %q", err, remarks)
	}
}

func TestOneBitChangedInTheCohortFileIsCaught(t *testing.T) {
	before, record, cohort := drawn(t, 40)
	text, file := published(t, record, cohort)
	for i := range file {
		for bit := range 8 {
			file[i] ^= 1 << bit
			if _, err := recheck(before, text, file); err == nil || !strings.Contains(err.Error(), "the cohort") || !strings.Contains(err.Error(), "was changed") {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
			file[i] ^= 1 << bit
		}
	}
}

func TestOneBitChangedInTheRecordIsCaughtAndNamed(t *testing.T) {
	says := map[string]string{
		"version": "version", "room": "the room was changed", "lobbyOpens": "the opening of the lobby was changed",
		"opens": "the time of the draw was changed", "commitment": "the commitment was changed",
		"source": "the beacon's source was changed", "url": "the beacon's url was changed", "within": "how long the draw waits for the beacon was changed",
		"value": "the seed does not follow", "count": "were frozen", "root": "its Merkle root is", "frozenAt": "does not match its own sum",
		"secret": "the secret was changed", "seed": "the seed itself, was changed", "drawnAt": "does not match its own sum", "sum": "does not match its own sum",
	}
	before, record, cohort := drawn(t, 40)
	text, file := published(t, record, cohort)
	seen := 0
	for name, value := range values(t, text) {
		want, known := says[name]
		if !known {
			t.Fatalf("%q is in the record and not in this test", name)
		}
		seen++
		for i := value[0]; i < value[1]; i++ {
			for bit := range 8 {
				changed := slices.Clone(text)
				changed[i] ^= 1 << bit
				_, err := recheck(before, changed, file)
				if err == nil {
					t.Fatalf("%s, byte %d, bit %d is not caught: %s", name, i-value[0], bit, changed[value[0]:value[1]])
				}
				if said := err.Error(); !strings.Contains(said, want) && !strings.Contains(said, "not a record of a draw") {
					t.Fatalf("%s, byte %d, bit %d: %s", name, i-value[0], bit, said)
				}
			}
		}
	}
	if seen != len(says) {
		t.Errorf("%d of %d values are in the record: %s", seen, len(says), text)
	}
}

// values finds where each value of a JSON object and the objects in it is written.
func values(t *testing.T, text []byte) map[string][2]int {
	t.Helper()
	found := map[string][2]int{}
	d := json.NewDecoder(bytes.NewReader(text))
	next := func() json.Token {
		token, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	next()
	for depth := 1; depth > 0; {
		name, isName := next().(string)
		if !isName {
			depth--
			continue
		}
		from := int(d.InputOffset()) + 1 // behind the colon
		if next() == json.Delim('{') {
			depth++
			continue
		}
		found[name] = [2]int{from, int(d.InputOffset())}
	}
	return found
}

func TestARecordIsReadStrictly(t *testing.T) {
	_, record, cohort := drawn(t, 3)
	text, _ := published(t, record, cohort)
	whole := string(text)
	for name, c := range map[string]struct{ text, says string }{
		"nothing":              {"", "not a record"},
		"a list":               {"[]", "not a record"},
		"more than one":        {whole + whole, "not a record"},
		"an unknown key":       {strings.Replace(whole, `"room"`, `"rooms"`, 1), "rooms"},
		"no sum":               {whole[:strings.Index(whole, `,"sum"`)] + "}", "no sum"},
		"a version to come":    {strings.Replace(whole, `"version":1`, `"version":2,"more":true`, 1), "version 2"},
		"shouted":              {strings.Replace(whole, record.Root.String(), strings.ToUpper(record.Root.String()), 1), "lower-case"},
		"a hash that is short": {strings.Replace(whole, record.Root.String(), record.Root.String()[2:], 1), "64 hexadecimal digits"},
		"huge":                 {whole + strings.Repeat(" ", MaxRecord), "at most"},
	} {
		if _, err := ParseRecord([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFanIsToldWhatBecameOfThem(t *testing.T) {
	before, record, cohort := drawn(t, 300)
	e := cohort.Entrants()[77]
	own, err := record.Drawn(cohort, e.Visitor)
	if err != nil || own.Visitor != e.Visitor.String() || own.Tier != e.Tier || own.Score != record.Score(e) || own.Score.Tier() != e.Tier {
		t.Fatalf("%+v, %v", own, err)
	}
	if err := own.Proof.Check(e, *record.Root); err != nil {
		t.Error(err)
	}
	if text, err := json.Marshal(Proof{Path: pathIn(nodesOver(nil), 0)}); err != nil || string(text) != `{"index":0,"count":0,"path":[]}` {
		t.Errorf("a proof in a cohort of one is %s, %v", text, err)
	}
	if _, err := record.Drawn(cohort, place.Visitor{}); !errors.Is(err, ErrNotInCohort) {
		t.Errorf("a stranger: %v", err)
	}
	if _, err := before.Drawn(cohort, e.Visitor); err == nil {
		t.Error("told before the draw")
	}
}
