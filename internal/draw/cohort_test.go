package draw

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

func TestOfAVisitorWhoIsInTwiceTheEarlierTierCounts(t *testing.T) {
	twice, bad := place.Visitor{1}, place.Visitor{2}
	c := NewCohort([]Entrant{{twice, 5}, {bad, 200}, {twice, 2}, {twice, 5}})
	if want := []Entrant{{twice, 2}, {bad, place.Deprioritised}}; !slices.Equal(c.Entrants(), want) {
		t.Errorf("got %v, want %v", c.Entrants(), want)
	}
}

func TestAnEntrantIsFoundAndAStrangerIsNot(t *testing.T) {
	c := NewCohort(entrants(t, 2000))
	for _, e := range c.Entrants() {
		if got, found := c.Find(e.Visitor); !found || got != e {
			t.Fatalf("found %v, %v", got, found)
		}
	}
	if _, found := c.Find(place.Visitor{}); found {
		t.Error("a stranger is found")
	}
	if _, found := NewCohort(nil).Find(place.Visitor{}); found {
		t.Error("a stranger is found among nobody")
	}
}

func TestACohortReadsBackAsItWasWritten(t *testing.T) {
	for _, n := range []int{0, 1, 1024, 2500} {
		c := NewCohort(entrants(t, n))
		file, err := c.MarshalBinary()
		if err != nil || len(file) != n*EntrantLength {
			t.Fatal(len(file), err)
		}
		again, err := ParseCohort(file)
		if err != nil {
			t.Fatal(err)
		}
		if again.Root() != c.Root() || !slices.Equal(again.Entrants(), c.Entrants()) {
			t.Errorf("a cohort of %d is another after reading", n)
		}
	}
}

func TestACohortFileIsReadStrictly(t *testing.T) {
	file, err := NewCohort(entrants(t, 20)).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	first, second := file[:EntrantLength], file[EntrantLength:2*EntrantLength]
	wrongTier := slices.Clone(file)
	wrongTier[16] = place.Tiers
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"cut short":    {file[:len(file)-1], "no multiple"},
		"a byte more":  {append(slices.Clone(file), 0), "no multiple"},
		"out of order": {slices.Concat(second, first), "entrant 2, visitor"},
		"twice":        {slices.Concat(first, first), "does not come after"},
		"no such tier": {wrongTier, "entrant 1, visitor"},
		"too many":     {make([]byte, (MaxEntrants+1)*EntrantLength), "at most"},
	} {
		if _, err := ParseCohort(c.file); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		} else if name != "too many" && !errors.Is(err, ErrCohort) {
			t.Errorf("%s does not say that the file was changed: %v", name, err)
		}
	}
}

func FuzzParseCohort(f *testing.F) {
	file, err := NewCohort(entrants(f, 5)).MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := ParseCohort(file)
		if err != nil {
			return
		}
		if again, err := c.MarshalBinary(); err != nil || !bytes.Equal(again, file) {
			t.Fatalf("%x reads as %x", file, again)
		}
	})
}
