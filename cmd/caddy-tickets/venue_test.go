package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const realHall = "../../internal/seatplan/testdata/riethsporthalle-north.json"

func TestAGeneratedVenueCanBeImported(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plan.json")
	text := must(t, "venue", "generate", "--name", "Small Hall", "--seats", "400", "--standing", "100")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Name       string
		Cells      int
		Categories map[string]int
	}
	if err := json.Unmarshal([]byte(must(t, "venue", "import", "--json", file)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "Small Hall" || got.Cells != 500 || got.Categories["Standing"] != 100 {
		t.Errorf("the plan that was made is imported as %+v", got)
	}
	if said := must(t, "venue", "import", file); !strings.Contains(said, "Small Hall") || !strings.Contains(said, "500 places") {
		t.Errorf("it says %q", said)
	}
}

func TestARealHallIsImported(t *testing.T) {
	t.Parallel()
	if said := must(t, "venue", "import", realHall); !strings.Contains(said, "556 places") {
		t.Errorf("it says %q", said)
	}
}

func TestABrokenPlanIsRefusedWithThePathOfEachFault(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, says string }{
		"twice the same seat": {`{"name":"x","categories":[{"name":"A"}],"zones":[{"name":"z","position":{"x":0,"y":0},"rows":[{"row_number":"1","seats":[
			{"seat_guid":"s1","seat_number":"1","position":{"x":0,"y":0},"category":"A"},
			{"seat_guid":"s1","seat_number":"2","position":{"x":1,"y":0},"category":"A"}]}]}]}`, "zones[0].rows[0].seats[1]"},
		"no category": {`{"name":"x","categories":[],"zones":[{"name":"z","position":{"x":0,"y":0},"rows":[{"row_number":"1","seats":[
			{"seat_guid":"s1","seat_number":"1","position":{"x":0,"y":0},"category":"A"}]}]}]}`, "zones[0].rows[0].seats[0].category"},
		"no JSON": {`{"name":`, "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "plan.json")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := invoke(t, "venue", "import", file)
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), file) {
				t.Errorf("the error does not name %s and %s: %v", file, tt.says, err)
			}
		})
	}
}
