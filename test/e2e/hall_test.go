package e2e

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/rehearse"
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
	report, err := rehearse.Run(t.Context(), rehearse.Config{
		Site: s.FanPage, Room: "arena", Event: "arena", Fans: 900, Arrive: 3 * time.Second,
		Tickets: 2, Declined: 0.05, Seed: 2, Deadline: 5 * time.Minute,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range report.Violations {
		t.Error(violation)
	}
	if got := ask(t, s, bookedCells); got != seats {
		t.Errorf("the database sold %s of %s seats: %+v", got, seats, report)
	}
	if got := ask(t, s, doubleBooked); got != "0" {
		t.Errorf("the database sold %s seats twice", got)
	}
}
