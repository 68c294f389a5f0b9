package waitroom

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	_ "time/tzdata" // zones mean the same on every edge, also where the system has none

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// timeArg reads a time, which in its longer form is three words.
func timeArg(d *caddyfile.Dispenser, into *string) error {
	option := d.Val()
	words := d.RemainingArgs()
	if len(words) == 0 || len(words) > 3 {
		return d.ArgErr()
	}
	*into = strings.Join(words, " ")
	_, err := parseTime(option, *into)
	return wrap(d, err)
}

// wallClocks are the forms of a time that stands before the name of a zone.
var wallClocks = []string{"2006-01-02 15:04", "2006-01-02 15:04:05"}

// parseTime reads "2026-12-01T10:00:00+01:00" or "2026-12-01 10:00 Europe/Berlin".
// Nothing is guessed: a time without a zone means another moment on every machine.
func parseTime(what, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	at := strings.LastIndexByte(s, ' ')
	for _, form := range wallClocks {
		if _, err := time.Parse(form, s[:max(at, 0)]); err == nil {
			return inZone(what, s[:at], s[at+1:], form)
		}
	}
	return time.Time{}, fmt.Errorf("%s %q is not a time with a zone: write it as 2026-12-01T10:00:00+01:00, or as 2026-12-01 10:00 Europe/Berlin", what, s)
}

// inZone finds the one moment at which the clocks of a zone show a time.
func inZone(what, wall, zone, form string) (time.Time, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" { // this machine's own zone says nothing about the next one's
		return time.Time{}, fmt.Errorf("%s: %q is not a zone that is known: write its IANA name, such as Europe/Berlin, or the time with its offset, such as 2026-12-01T10:00:00+01:00", what, zone)
	}
	t, err := time.ParseInLocation(form, wall, loc)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", what, err)
	}
	if t.Format(form) != wall {
		return time.Time{}, fmt.Errorf("%s: there is no %s in %s, because clocks go forward then: %s is the moment after", what, wall, zone, t.Format(time.RFC3339))
	}
	for _, d := range []time.Duration{-2 * time.Hour, -time.Hour, -30 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour} {
		if other := t.Add(d); other.Format(form) == wall {
			return time.Time{}, fmt.Errorf("%s: it is %s twice in %s, because clocks go back then: write %s or %s", what, wall, zone, t.Format(time.RFC3339), other.Format(time.RFC3339))
		}
	}
	return t.UTC(), nil
}

// maxLobby is the longest lobby; a longer one is a slip of the unit.
const maxLobby = 24 * time.Hour

func checkSchedule(c *room.Config) error {
	switch {
	case c.Lobby < 0:
		return blame("lobby", errors.New("lobby cannot be negative"))
	case c.Lobby > 0 && c.Opens.IsZero():
		return blame("lobby", errors.New(`lobby needs opens: it is the time before the opening, such as "opens 2026-12-01T10:00:00+01:00"`))
	case c.Lobby > maxLobby:
		return blame("lobby", fmt.Errorf("lobby must be %v or less, not %v", maxLobby, c.Lobby))
	case !c.Opens.IsZero() && !c.Closes.IsZero() && !c.Closes.After(c.Opens):
		return blame("closes", errors.New("closes must come after opens: set a later end, or an earlier beginning"))
	}
	return nil
}

// validating says whether this process was started to look at a config, not to run it.
var validating = func() bool { return len(os.Args) > 1 && os.Args[1] == "validate" }

// checkLobby refuses a lobby that is longer than the time to the opening: it would
// have begun before anybody could come in. It cannot be told from the config alone,
// since every lobby comes to this point; see docs/adr/0013.
func checkLobby(c *room.Config, now time.Time) error {
	left := c.Opens.Sub(now)
	if c.Lobby <= left || left <= 0 {
		return nil
	}
	left = left.Truncate(time.Second)
	return blame("lobby", fmt.Errorf("lobby %v is longer than the time to opens, which is %v: write \"lobby %v\" or less, or open later", c.Lobby, left, max(left.Truncate(time.Minute), time.Second)))
}

// checkNewLobby is checkLobby for settings that are to replace those of a running
// room. A room whose fans may be in already goes on as it is told.
func checkNewLobby(c *room.Config, running room.Config, now time.Time) error {
	never := running.Queue.Rate == 0 // it starts with this config, perhaps again
	begun := !running.Opens.IsZero() && !now.Before(running.Opens.Add(-running.Lobby))
	if never || begun {
		return nil
	}
	return checkLobby(c, now)
}
