package room

import "time"

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

// ETA is how long the fan at a position waits, as a range. It is not known while
// the room is not moving.
//
// The measured rate, a quarter to each side, is believed when there is one: it has
// in it no-shows, the cap and the health of the site. Otherwise it is between
// the set rate and what the cap lets through when everybody stays for a whole
// session.
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
	fast, slow := set, set
	if v.measured > 0 {
		fast, slow = min(set, v.measured*1.25), min(set, v.measured*0.75)
	} else if c := v.Settings; c.Active > 0 && c.Session > 0 && position > c.Active-v.Active {
		slow = min(set, float64(c.Active)/c.Session.Seconds())
	}
	return lead + seconds(float64(position)/fast), lead + seconds(float64(position)/slow), true
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
