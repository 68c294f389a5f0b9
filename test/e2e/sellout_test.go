package e2e

import (
	"strconv"
	"testing"
)

// TestThreeThousandFansSellOutFiveHundredSeats is the promise of the project in
// one sentence: every seat is sold exactly once, and everybody else is told so.
func TestThreeThousandFansSellOutFiveHundredSeats(t *testing.T) {
	const fans, seats = 3000, 500
	s := startStack(t, "--seats", "500", "--rate", "60000/m", "--active", "400")
	report := s.rehearse(t, "--fans", strconv.Itoa(fans), "--arrive", "5s", "--tickets", "2", "--declined", "0.05", "--abandon", "0", "--deadline", "8m")
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
