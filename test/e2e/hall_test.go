package e2e

import (
	"path/filepath"
	"testing"
)

// TestTheRealHallIsSoldFromEndToEnd takes the plan of a real sports hall, with
// broken rows and wheelchair places, through the whole path until it is sold out.
func TestTheRealHallIsSoldFromEndToEnd(t *testing.T) {
	const seats = "556"
	plan, err := filepath.Abs("../../internal/seatplan/testdata/riethsporthalle-north.json")
	if err != nil {
		t.Fatal(err)
	}
	s := startStack(t, "--plan", plan, "--rate", "60000/m", "--active", "400")
	report := s.rehearse(t, "--fans", "900", "--arrive", "3s", "--tickets", "2", "--declined", "0.05", "--abandon", "0", "--seed", "2", "--deadline", "5m")
	if got := ask(t, s, bookedCells); got != seats {
		t.Errorf("the database sold %s of %s seats: %+v", got, seats, report)
	}
	if got := ask(t, s, doubleBooked); got != "0" {
		t.Errorf("the database sold %s seats twice", got)
	}
}
