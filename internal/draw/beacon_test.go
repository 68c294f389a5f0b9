package draw

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestWhatIsAnnouncedOfABeaconIsBounded(t *testing.T) {
	for name, b := range map[string]Beacon{
		"known in advance":         {Source: "drand", Value: Bytes("known")},
		"missed in advance":        {Source: "drand", Missed: true},
		"no source":                {URL: "https://example.com"},
		"a wait for nothing":       {Within: 5},
		"a long source":            {Source: strings.Repeat("x", 513)},
		"a wait below zero":        {Source: "drand", Within: -1},
		"a very long wait":         {Source: "drand", Within: 24*3600 + 1},
		"a url of another way":     {Source: "drand", URL: "file:///etc/passwd"},
		"a url with a secret":      {Source: "drand", URL: "https://me:secret@example.com"},
		"known before it is fixed": {Source: "drand quicknet round 30000000"},
		"a long url":               {Source: "drand", URL: "https://example.com/" + strings.Repeat("x", 2048)},
	} {
		if _, err := Commit("arena", lobby, opens, secret, b); err == nil {
			t.Errorf("%s is announced", name)
		}
	}
	if _, err := Commit("arena", lobby, opens, secret, announced); err != nil {
		t.Error(err)
	}
}

func TestTheValueOfABeaconIsTakenOutOfWhatWasFetched(t *testing.T) {
	round := Beacon{Source: "drand quicknet round 7"}
	for name, c := range map[string]struct {
		of   Beacon
		text string
		want string
	}{
		"words":              {Beacon{Source: "the lottery of the day"}, " 4 8 15 16 23 42\r\n", "4 8 15 16 23 42"},
		"drand":              {round, `{"round":7,"randomness":"00ff10","signature":"ab"}`, "\x00\xff\x10"},
		"drand, its own way": {Beacon{Source: "ours"}, `{"randomness":"41"}`, "A"},
		"another round":      {round, `{"round":8,"randomness":"00ff10"}`, ""},
		"no round":           {round, `{"randomness":"00ff10"}`, ""},
		"an error page":      {round, `{"error":"not yet"}`, ""},
		"no hexadecimal":     {round, `{"round":7,"randomness":"zz"}`, ""},
		"broken":             {round, `{"round":7`, ""},
		"nothing":            {round, " \n", ""},
		"a book":             {round, strings.Repeat("x", MaxBeacon+1), ""},
	} {
		got, err := c.of.ValueOf([]byte(c.text))
		if !bytes.Equal(got, []byte(c.want)) || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestARoundOfDrandIsFoundInTheWords(t *testing.T) {
	for source, want := range map[string]Drand{
		"drand quicknet round 27946612": {"quicknet", 27946612},
		"Drand round 5":                 {"quicknet", 5},
		"drand default round 6426976":   {"default", 6426976},
		"drand elsewhere round 5":       {},
		"drand quicknet round 0":        {},
		"drand quicknet":                {},
		"the round 5 of a game":         {},
		"":                              {},
	} {
		got, found := (Beacon{Source: source}).Drand()
		if found != (want != Drand{}) || found && got != want {
			t.Errorf("%q: %+v, %v", source, got, found)
		}
	}
}

// The times are those that the networks' own clients give.
func TestARoundOfDrandHasItsTime(t *testing.T) {
	for d, want := range map[Drand]time.Time{
		{"quicknet", 1}:        time.Unix(1692803367, 0),
		{"quicknet", 27946612}: time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC),
		{"default", 6426976}:   time.Date(2026, 9, 1, 5, 25, 0, 0, time.UTC),
	} {
		if got := d.Time(); !got.Equal(want) {
			t.Errorf("%+v: %s, not %s", d, got, want)
		}
	}
}

func TestTheRoundOfADrawIsTheFirstThatComesAfterItIsFrozen(t *testing.T) {
	for second := range 7 {
		at := opens.Add(time.Duration(second) * time.Second)
		b := DrandAfter(at)
		d, found := b.Drand()
		if !found || b.URL != d.URL() || b.Within != 300 {
			t.Fatalf("%+v", b)
		}
		if wait := d.Time().Sub(at); wait <= 30*time.Second || wait > 33*time.Second {
			t.Errorf("opening at %s: the round comes %s later", at, wait)
		}
		if _, err := Commit("arena", lobby, at, secret, b); err != nil {
			t.Error(err)
		}
	}
}

func TestABeaconThatWasKnownBeforeTheCohortWasFrozenIsRemarkedOn(t *testing.T) {
	before, record, cohort := drawn(t, 20)
	record.FrozenAt = record.Opens.Add(time.Minute)
	record.DrawnAt = record.Opens.Add(2 * time.Minute)
	remarks, err := Verify(before, record, cohort)
	if err != nil || !strings.Contains(strings.Join(remarks, "\n"), "the operator could know the order") {
		t.Errorf("%v, %q", err, remarks)
	}
	if d, _ := record.Beacon.Drand(); !strings.Contains(strings.Join(remarks, "\n"), d.URL()) {
		t.Errorf("it is not said where to look the beacon up: %q", remarks)
	}
}
