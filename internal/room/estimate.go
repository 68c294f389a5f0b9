package room

import (
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

const (
	// measureOver is the window of the measured rate, measureLeast what it must
	// cover before it is believed.
	measureOver  = time.Minute
	measureLeast = 10 * time.Second
)

// pulse measures admissions per second over the last minute.
type pulse struct{ beats []beat }

type beat struct {
	at    time.Time
	total int64
}

// note takes a reading about once a second. A total that falls means that the
// counter was lost: the measurement begins again.
func (p *pulse) note(at time.Time, total int64) {
	if n := len(p.beats); n > 0 {
		switch last := p.beats[n-1]; {
		case total < last.total:
			p.beats = p.beats[:0]
		case at.Sub(last.at) < time.Second:
			return
		}
	}
	p.beats = append(p.beats, beat{at, total})
	for len(p.beats) > 1 && at.Sub(p.beats[0].at) > measureOver {
		p.beats = p.beats[1:]
	}
	if cap(p.beats) > 4*len(p.beats) {
		p.beats = append([]beat(nil), p.beats...)
	}
}

func (p *pulse) reset() { p.beats = nil }

// perSecond is the measured rate, if it can be told.
func (p *pulse) perSecond() (float64, bool) {
	if len(p.beats) < 2 {
		return 0, false
	}
	first, last := p.beats[0], p.beats[len(p.beats)-1]
	over := last.at.Sub(first.at)
	if over < measureLeast {
		return 0, false
	}
	return float64(last.total-first.total) / over.Seconds(), true
}

// measureLocked notes how fast the queue moves, while there is one and nothing holds it.
// Few who are admitted because few came, or because somebody paused the room, do not
// make a slow queue.
func (r *Room) measureLocked(t *queue.Tick) {
	if t.Waiting == 0 || t.Paused || r.stoppedLocked() {
		r.unmeasureLocked()
		return
	}
	r.busy.note(t.Now, t.AdmittedTotal)
	r.echo.note(t.Now, t.AdmittedTotal, t.Settings.Session)
}

func (r *Room) unmeasureLocked() {
	r.busy.reset()
	r.echo.reset()
}

// ETA is how long the fan at a position waits, as a range. It is not known while
// the room is not moving.
//
// What was measured has in it no-shows, whose turns go on to the next, the cap and the
// health of the site. Over a whole session it is believed most; the last minute widens the
// range, since it may be news. In the first session the range goes from the set
// rate to what the cap lets through when everybody stays for a whole session.
func (v *View) ETA(position int) (low, high time.Duration, known bool) {
	var lead time.Duration
	switch v.State {
	case Open:
	case Lobby, Scheduled:
		lead = v.Opens.Sub(v.Now)
	default:
		return 0, 0, false
	}
	set := v.setRate()
	if position <= 0 || set <= 0 || v.Degraded || v.Unwell {
		return 0, 0, false
	}
	fast, slow := v.wait(float64(position), set)
	return lead + seconds(fast*0.8), lead + seconds(slow*1.25), true
}

// wait is the shortest and the longest time, in seconds, that is expected.
func (v *View) wait(position, set float64) (fast, slow float64) {
	fast, slow = position/set, position/set
	echo, known := v.echo.wait(int(position))
	cycle := v.Settings.Session.Seconds()
	if known {
		fast, slow = echo, echo
	} else if c := v.Settings; c.Active > 0 && cycle > 0 && position > float64(c.Active-v.Active-v.Turns) {
		slow = max(slow, position*cycle/float64(c.Active))
	}
	switch {
	case !v.measuring || known && echo > cycle: // what lies beyond a session is not told by a minute
	case v.measured == 0: // it stands, until the first session ends at the latest
		slow += cycle
	default:
		lately := position / v.measured
		fast, slow = min(fast, lately), max(slow, min(lately, slow+cycle))
	}
	return fast, slow
}

// setRate is the configured admissions per second.
func (v *View) setRate() float64 {
	if v.Settings.Per <= 0 {
		return 0
	}
	return float64(v.Settings.Rate) / v.Settings.Per.Seconds()
}

const longestWait = 7 * 24 * time.Hour // beyond it a number helps nobody, and a duration could overflow

func seconds(s float64) time.Duration {
	if s > longestWait.Seconds() {
		return longestWait
	}
	return time.Duration(s * float64(time.Second))
}
