package room

import (
	"slices"
	"time"
)

// echo remembers how admission went over the last session's length. Where the cap
// decides, admissions repeat: each session that ends lets in the next one, so a rush
// and the silence behind it come again after a session, and an average over a
// minute tells of neither. Where the rate decides, the last session is simply long enough
// to know it well.
type echo struct {
	beats []beat // oldest first; never written to again, since views share them
	cycle time.Duration
}

const (
	echoBeats = 600         // in a cycle
	echoLeast = time.Second // between two beats
)

// note takes a reading. A total that falls was lost, and another session is another cycle.
func (e *echo) note(at time.Time, total int64, cycle time.Duration) {
	if n := len(e.beats); cycle != e.cycle || n > 0 && total < e.beats[n-1].total {
		e.reset()
	}
	e.cycle = cycle
	if n := len(e.beats); n > 0 && at.Sub(e.beats[n-1].at) < max(echoLeast, cycle/echoBeats) {
		return
	}
	e.beats = append(e.beats, beat{at, total})
	for len(e.beats) > 2 && at.Sub(e.beats[1].at) >= cycle {
		e.beats = e.beats[1:]
	}
	if cap(e.beats) > 4*len(e.beats) {
		e.beats = slices.Clone(e.beats)
	}
}

func (e *echo) reset() { e.beats = nil }

// wait is how long it takes to admit so many if it goes as it did a session ago; it is
// not known in the first session, or when nobody was admitted in the last one.
func (e *echo) wait(position int) (seconds float64, known bool) {
	n := len(e.beats)
	if n < 2 {
		return 0, false
	}
	first, last := e.beats[0], e.beats[n-1]
	over, each := last.at.Sub(first.at), last.total-first.total
	if over < e.cycle || each == 0 {
		return 0, false
	}
	whole, rest := int64(position)/each, int64(position)%each
	i, _ := slices.BinarySearchFunc(e.beats, first.total+rest, func(b beat, total int64) int {
		if b.total < total {
			return -1
		}
		return 1
	})
	return float64(whole)*over.Seconds() + e.beats[min(i, n-1)].at.Sub(first.at).Seconds(), true
}
