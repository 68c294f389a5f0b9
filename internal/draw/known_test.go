package draw

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The draw in testdata was made once, and docs/draw.md shows what it gives: this
// program, that page and whoever wrote a verifier from it must go on agreeing.
func TestTheDrawInTheDocumentsStaysWhatItIs(t *testing.T) {
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	before, err := ParseRecord(read("testdata/before.json"))
	if err != nil {
		t.Fatal(err)
	}
	record, err := ParseRecord(read("testdata/draw.json"))
	if err != nil {
		t.Fatal(err)
	}
	cohort, err := ParseCohort(read("testdata/cohort.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(before, record, cohort); err != nil {
		t.Fatal(err)
	}
	order := slices.Clone(cohort.Entrants())
	slices.SortFunc(order, func(a, b Entrant) int { return int(record.Score(a)) - int(record.Score(b)) })
	var want strings.Builder
	for i, e := range order {
		fmt.Fprintf(&want, "%d %s tier %d score %d\n", i+1, e.Visitor, e.Tier, record.Score(e))
	}
	if page := string(read("../../docs/draw.md")); !strings.Contains(page, "\n```\n"+want.String()+"```\n") {
		t.Errorf("docs/draw.md does not show this:\n%s", want.String())
	}
}
