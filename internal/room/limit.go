package room

import "time"

// limitLocked is how many fans the next tick may admit: −1 for no limit of ours.
//
// Nobody is admitted before the room's time, on the first tick after a silence
// (its answer must tell first what was lost), while fans are still being
// re-entered, or for seats that cannot be sold.
func (r *Room) limitLocked() int {
	now := r.nowLocked()
	cfg := r.cfg.Load()
	switch {
	case stateAt(cfg, now, r.stock, r.last.Paused, r.drawing.done(cfg)) != Open:
		return 0
	case !r.ticked || r.failures > 0 || !r.settledLocked():
		return 0
	}
	return stockLimit(r.stock, r.deps.Clock.Now(), r.last.Active+r.last.Turns, r.sales.last(cfg.Queue.Session), cfg.TicketsPerPass)
}

// stockLimit follows the stock. Everybody inside still wants a ticket, except as
// many as have bought within one session: those are counted among the active
// until their session ends, and would hold back the last seats if they counted.
//
//	limit = free + held − (inside − bought/perPass), at most free
//
// With nothing free there is nothing to let anybody in for, although held seats
// may come back; when they do, free says so within a second.
func stockLimit(s *Stock, now time.Time, inside, bought, perPass int) int {
	switch {
	case s == nil:
		return -1
	case s.State == StockSoldOut || s.State == StockNotOpen:
		return 0
	case now.Sub(s.At) > stockTrust:
		return -1
	}
	browsing := max(0, inside-bought/perPass)
	return max(0, min(s.Free, s.Sellable()-browsing))
}

// sales remembers how many seats were booked when, to know how many of those
// inside are done.
type sales struct{ samples []sale }

type sale struct {
	at     time.Time
	booked int
}

const (
	saleEvery  = 5 * time.Second
	maxSamples = 720 // an hour
)

func (s *sales) note(at time.Time, booked int) {
	if n := len(s.samples); n > 0 {
		last := &s.samples[n-1]
		if booked < last.booked { // another event, or bookings undone: what was learned is void
			s.samples = s.samples[:0]
		} else if n > 1 && at.Sub(s.samples[n-2].at) < saleEvery {
			*last = sale{at, booked}
			return
		}
	}
	if len(s.samples) == maxSamples {
		s.samples = append(s.samples[:0], s.samples[1:]...)
	}
	s.samples = append(s.samples, sale{at, booked})
}

// last is how many seats were booked in the last d before the newest sample.
func (s *sales) last(d time.Duration) int {
	if len(s.samples) == 0 {
		return 0
	}
	newest := s.samples[len(s.samples)-1]
	for _, old := range s.samples {
		if newest.at.Sub(old.at) <= d {
			return newest.booked - old.booked
		}
	}
	return 0
}
