package waitroom

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func TestATimeMeansOneMoment(t *testing.T) {
	for text, want := range map[string]string{
		"2026-12-01T10:00:00+01:00":          "2026-12-01T09:00:00Z",
		"2026-12-01T10:00:00Z":               "2026-12-01T10:00:00Z",
		"2026-12-01 10:00 Europe/Berlin":     "2026-12-01T09:00:00Z",
		"2026-07-01 10:00:30 Europe/Berlin":  "2026-07-01T08:00:30Z",
		"2026-12-01 10:00 UTC":               "2026-12-01T10:00:00Z",
		"2026-12-01 10:00 America/Sao_Paulo": "2026-12-01T13:00:00Z",
		"2026-12-01 10:00 Asia/Kathmandu":    "2026-12-01T04:15:00Z",
		"2026-03-29 03:00 Europe/Berlin":     "2026-03-29T01:00:00Z", // the first moment after the gap
		"2026-10-25 01:59 Europe/Berlin":     "2026-10-24T23:59:00Z",
		"2026-10-25 03:00 Europe/Berlin":     "2026-10-25T02:00:00Z",
	} {
		got, err := parseTime("opens", text)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s is %v, want %s: %v", text, got, want, err)
		}
	}
	for text, mend := range map[string]string{
		"2026-03-29 02:00 Europe/Berlin":       "clocks go forward",
		"2026-03-29 02:59:59 Europe/Berlin":    "clocks go forward",
		"2026-10-25 02:00 Europe/Berlin":       "2026-10-25T02:00:00+01:00",
		"2026-10-25 02:59 Europe/Berlin":       "2026-10-25T02:59:00+02:00",
		"2026-04-05 01:45 Australia/Lord_Howe": "twice", // half an hour
		"2026-12-01 10:00 ../../etc/passwd":    "not a zone",
		"2026-12-01 10:00 ":                    "not a zone",
		"2026-12-01 25:00 UTC":                 "a time with a zone",
		"tomorrow Europe/Berlin":               "a time with a zone",
		" ":                                    "a time with a zone",
	} {
		if got, err := parseTime("opens", text); err == nil || !strings.Contains(err.Error(), mend) {
			t.Errorf("%q is %v: %v", text, got, err)
		}
	}
}

func FuzzTime(f *testing.F) {
	for _, seed := range []string{"2026-12-01T10:00:00+01:00", "2026-12-01 10:00 Europe/Berlin", "2026-03-29 02:30 Europe/Berlin", " UTC", "x y z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseTime("opens", s)
		if err == nil && s != "" && got.Location() != time.UTC {
			t.Errorf("%q is %v", s, got)
		}
	})
}

// A lobby that would have begun already is a slip where the schedule is new, and no
// slip at all where it runs.
func TestALobbyLongerThanTheTimeToTheOpeningIsRefusedWhileItCanBeASlip(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 40, 0, 0, time.UTC)
	opens := now.Add(20 * time.Minute)
	of := func(opens time.Time, lobby time.Duration) room.Config {
		return room.Config{Opens: opens, Lobby: lobby, Queue: queue.Settings{Rate: 1, Per: time.Second}}
	}
	late := of(opens, 30*time.Minute) // its lobby would have begun ten minutes ago
	for name, c := range map[string]struct {
		running room.Config
		next    room.Config
		refused bool
	}{
		"a process that starts, perhaps again":      {room.Config{}, late, false},
		"the same schedule, reloaded in the lobby":  {late, late, false},
		"an always-on room gets a schedule":         {of(time.Time{}, 0), late, true},
		"a lobby that becomes longer than can be":   {of(opens, 10*time.Minute), late, true},
		"an opening that moves too near":            {of(opens.Add(time.Hour), 30*time.Minute), late, true},
		"an opening that is put off in its lobby":   {late, of(opens.Add(5*time.Minute), 30*time.Minute), false},
		"a lobby that becomes longer while it runs": {of(opens, 25*time.Minute), late, false},
		"a lobby that begins now":                   {of(time.Time{}, 0), of(opens, 20*time.Minute), false},
		"a sale that runs":                          {of(time.Time{}, 0), of(now.Add(-time.Hour), 30*time.Minute), false},
		"an opening at this moment":                 {of(time.Time{}, 0), of(now, 30*time.Minute), false},
		"a schedule without a lobby":                {of(time.Time{}, 0), of(opens, 0), false},
	} {
		err := checkNewLobby(&c.next, c.running, now)
		if (err != nil) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && !strings.Contains(err.Error(), `write "lobby 20m0s" or less`) {
			t.Errorf("%s: no mend: %v", name, err)
		}
	}
}

func TestValidateRefusesALobbyThatCannotBe(t *testing.T) {
	config := "http://:80 {\nwaitroom arena {\nadmit 5/s\nlobby 30m\nopens " + time.Now().Add(10*time.Minute).Format(time.RFC3339) + "\n}\n}\n"
	if _, err := caddytest.Adapt(config); err != nil {
		t.Errorf("starting: %v", err) // again in the middle of its lobby, for all that can be known
	}
	defer func(f func() bool) { validating = f }(validating)
	validating = func() bool { return true }
	if _, err := caddytest.Adapt(config); err == nil || !strings.Contains(err.Error(), "Caddyfile:4") || !strings.Contains(err.Error(), `write "lobby 9m0s" or less, or open later`) {
		t.Errorf("validating: %v", err)
	}
}

func TestAReloadInTheMiddleOfTheLobbyIsValidAndASlipIsNot(t *testing.T) {
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	s := start(t, closed)
	slip := s.arena(closed + "\nopens " + at(10*time.Minute) + "\nlobby 30m")
	if err := caddytest.Load(slip); err == nil || !strings.Contains(err.Error(), "lobby 30m0s is longer than the time to opens") {
		t.Fatalf("%v", err)
	}
	if got := s.room().View().State; got != room.Open {
		t.Fatalf("now it is %s", got)
	}
	soon := "\nopens " + at(10*time.Minute)
	s.load(s.arena(closed + soon + "\nlobby 9m59s"))
	s.until("the lobby begins", func(v *room.View) bool { return v.State == room.Lobby })
	f := s.fan()
	f.joined()
	s.load(s.arena("admit 2/h" + soon + "\nlobby 9m59s"))
	s.load(s.arena("admit 2/h\nopens " + at(15*time.Minute) + "\nlobby 20m")) // put off, in the lobby
	if got := f.get(arena + "status"); got.State != "lobby" {
		t.Errorf("%s", got.body)
	}
}

func TestInAFifoLobbyFansAreToldTheirPositions(t *testing.T) {
	s := start(t, closed+"\nmethod fifo\nopens "+time.Now().Add(time.Hour).Format(time.RFC3339)+"\nlobby 59m59s")
	s.until("the lobby begins", func(v *room.View) bool { return v.State == room.Lobby && v.Generations != nil })
	first, second := s.fan(), s.fan()
	if got := first.joined(); got.Position != 1 || got.State != "lobby" {
		t.Errorf("%s", got.body)
	}
	second.joined()
	s.until("the board has both", func(v *room.View) bool { return v.Board != nil && v.Board.Waiting() == 2 })
	if got := second.get(arena + "status"); got.Position != 2 || !strings.Contains(got.body, `"method":"fifo"`) {
		t.Errorf("%s", got.body)
	}
	if page := second.page("/"); !strings.Contains(page.body, "in the order of arrival, and you have yours") || strings.Contains(page.body, "The draw is in") {
		t.Errorf("the page speaks of a draw: %.500s", page.body)
	}
}
