package e2e

import (
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/rehearse"
)

// TestThreeThousandFansSellOutFiveHundredSeats is the promise of the project in
// one sentence: every seat is sold exactly once, and everybody else is told so.
func TestThreeThousandFansSellOutFiveHundredSeats(t *testing.T) {
	const fans, seats = 3000, 500
	s := startStack(t, "--seats", "500", "--rate", "60000/m", "--active", "400")
	report, err := rehearse.Run(t.Context(), rehearse.Config{
		Site: s.FanPage, Room: "arena", Event: "arena", Fans: fans, Arrive: 5 * time.Second,
		Tickets: 2, Declined: 0.05, Seed: 1, Deadline: 8 * time.Minute,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range report.Violations {
		t.Error(violation)
	}
	if report.Tickets != seats {
		t.Errorf("the fans hold %d tickets, want %d", report.Tickets, seats)
	}
	for code, n := range report.Refused {
		if code != "sold-out" {
			t.Errorf("%d fans were not told that it is sold out but %q", n, code)
		}
	}
	if got := report.Booked + report.Refused["sold-out"]; got != fans {
		t.Errorf("%d fans got an answer, want %d", got, fans)
	}
	if got := ask(t, s, bookedCells); got != "500" {
		t.Errorf("the database sold %s seats, want %d", got, seats)
	}
	if got := ask(t, s, doubleBooked); got != "0" {
		t.Errorf("the database sold %s seats twice", got)
	}
	if t.Failed() {
		t.Logf("report: %+v", report)
	}
}
