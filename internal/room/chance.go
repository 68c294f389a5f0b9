package room

import (
	"math"
	"time"
)

// Chance tells a waiting fan what the position is worth.
type Chance string

// The chances, as they are on the wire.
const (
	// ChanceUnknown: the stock is not known, or it is too close to call.
	ChanceUnknown Chance = "unknown"
	// ChanceLikely: when everybody inside and ahead takes as many as this sale's buyers do,
	// and somewhat more, there is still a ticket. Of fans who are told so, at least 95 of
	// 100 can buy.
	ChanceLikely Chance = "likely"
	// ChanceUnlikely: when they take somewhat less, there is none. Of fans who are told
	// so, at most half can buy.
	ChanceUnlikely Chance = "unlikely"
	// ChanceNone: sold out. It is said of nothing else: as long as one seat is free or
	// held, everybody ahead might leave, and then the last in line can buy it.
	ChanceNone Chance = "none"
)

// Chance compares a position with what can still be sold.
func (v *View) Chance(position int) Chance {
	switch {
	case v.State == SoldOut:
		return ChanceNone
	case v.State == Closed || v.Stock == nil || v.Stock.State == StockNotOpen || v.demand.stale || position <= 0:
		return ChanceUnknown
	case v.demand.most(position)+1 <= float64(v.Stock.Sellable()):
		return ChanceLikely
	case v.demand.least(position) >= float64(v.Stock.Sellable()):
		return ChanceUnlikely
	}
	return ChanceUnknown
}

// demand is what is still wanted ahead of a fan, between two bounds: by those inside,
// who are ahead of everybody, and by each who waits ahead.
type demand struct {
	insideMost, insideLeast float64 // seats
	fanMost, fanLeast       float64 // seats for each fan who is admitted, buyer or not
	lot                     float64 // seats that one buyer may take: how grainy all this is
	stale                   bool    // the stock is too old to say anything
}

// surely is how many standard deviations there are between what is expected and what
// is promised. Fans take a few seats or none, independently of each other, so the
// variance of n seats taken is at most n times what one buyer may take.
const surely = 2.0

func (d *demand) most(position int) float64 {
	seats := d.insideMost + float64(position-1)*d.fanMost
	return seats + surely*math.Sqrt(d.lot*seats)
}

func (d *demand) least(position int) float64 {
	return d.insideLeast + float64(position-1)*d.fanLeast
}

// conversion learns from a sale how many seats a fan who is admitted takes.
//
// Nobody knows who of those inside will still buy, so a count of bookings over a count of
// admitted fans is too low, and one over fans whose session has ended is too high. But
// whenever a fan buys, it is at some time between admission and the end of the
// session. So the bookings of a span of time come from fans who were admitted in that
// span, moved back by something between nothing and a whole session; the least and the
// most that were admitted in spans so moved bound what one takes, whatever the delay.
// While fans are admitted evenly, both are the same.
type conversion struct {
	samples  []taken
	every    time.Duration // between two samples; doubled when they become too many
	total    int64         // the last AdmittedTotal
	in       int64         // fans who have come in since the first sample, and those inside then
	booked   int           // at the first sample
	returned int           // seats that were held and came back, at least
	free     int           // at the last look
}

// taken is how far a sale was at one time.
type taken struct {
	at     time.Time
	in     int64
	booked int
}

const (
	learnEvery   = 5 * time.Second
	learnSamples = 720
	learnSteps   = 120 // delays that are tried: each five seconds of the usual session
	learnLeast   = 100 // fans, before what they did counts
	learnWell    = 400 // fans, for a span of time to be long enough

	// Before anything was learned, a fan is taken to buy at most what a pass is
	// taken to (TicketsPerPass), and at least a tenth of that.
	unlearned = 0.1
)

// note takes in how the sale stands.
func (c *conversion) note(s *Stock, admitted int64, inside int) {
	if n := len(c.samples); n == 0 || s.Booked < c.samples[n-1].booked { // bookings were undone, or it is another sale
		*c = conversion{every: learnEvery, total: admitted, in: int64(inside), booked: s.Booked, free: s.Free}
		c.samples = []taken{{s.At, c.in, s.Booked}}
		return
	}
	if admitted < c.total { // the counter was lost with Redis
		c.total = 0
	}
	c.in, c.total = c.in+admitted-c.total, admitted
	c.returned, c.free = c.returned+max(0, s.Free-c.free), s.Free
	now := taken{s.At, c.in, s.Booked}
	n := len(c.samples)
	if n > 1 && now.at.Sub(c.samples[n-2].at) < c.every {
		c.samples[n-1] = now
		return
	}
	if n == learnSamples {
		for i := range n / 2 {
			c.samples[i] = c.samples[2*i]
		}
		c.samples, c.every = c.samples[:n/2], 2*c.every
	}
	c.samples = append(c.samples, now)
}

// at is how far the sale was at a time: fans who had come in, and seats booked.
func (c *conversion) at(t time.Time) (in, booked float64) {
	lo, hi := 0, len(c.samples) // the last sample at or before t is in [lo, hi)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; c.samples[mid].at.After(t) {
			hi = mid
		} else {
			lo = mid
		}
	}
	a := c.samples[lo]
	if hi == len(c.samples) || !t.After(a.at) {
		return float64(a.in), float64(a.booked)
	}
	b := c.samples[hi]
	part := float64(t.Sub(a.at)) / float64(b.at.Sub(a.at))
	return float64(a.in) + float64(b.in-a.in)*part, float64(a.booked) + float64(b.booked-a.booked)*part
}

// perFan bounds the seats that an admitted fan takes, by the last span of time in which
// enough came in; delay is the longest between admission and booking.
func (c *conversion) perFan(delay time.Duration, lot float64) (least, most float64, known bool) {
	first, last := c.samples[0], c.samples[len(c.samples)-1]
	for span := delay; ; span *= 2 {
		from := last.at.Add(-span)
		if earliest := first.at.Add(delay); from.Before(earliest) {
			from = earliest
		}
		if !from.Before(last.at) {
			return 0, 0, false
		}
		fewest, mostIn := math.Inf(1), 0.0
		for i := range learnSteps + 1 {
			by := delay * time.Duration(i) / learnSteps
			end, _ := c.at(last.at.Add(-by))
			begin, _ := c.at(from.Add(-by))
			fewest, mostIn = min(fewest, end-begin), max(mostIn, end-begin)
		}
		all := from.Equal(first.at.Add(delay))
		if fewest < learnWell && !all {
			continue
		}
		if fewest < learnLeast {
			return 0, 0, false
		}
		_, before := c.at(from)
		booked := float64(last.booked) - before
		return booked / mostIn, (booked + surely*math.Sqrt(lot*booked) + lot) / fewest, true
	}
}

// demand is what the sale so far says about what is still wanted.
func (c *conversion) demand(s *Stock, cfg *Config, inside int) demand {
	perPass := max(float64(cfg.TicketsPerPass), float64(cfg.TicketLimit+1)/2)
	d := demand{lot: max(perPass, float64(cfg.TicketLimit)), fanMost: perPass, fanLeast: perPass * unlearned}
	d.insideMost, d.insideLeast = float64(inside)*perPass, 0
	if len(c.samples) == 0 {
		return d
	}
	delay := max(cfg.Queue.Session, cfg.Sliding) + cfg.Queue.ClaimWithin // the longest between admission and booking
	in, booked := float64(c.in), float64(s.Booked-c.booked)
	if in >= learnLeast {
		// Who has come in so far has taken at least this, if half of what is held comes back.
		d.fanLeast = max(d.fanLeast, (booked+float64(s.Held)/2)/in)
		// The guess is given up where the first fans, who have had a quarter of their time,
		// have taken more.
		if settled, _ := c.at(s.At.Add(-delay / 4)); settled >= learnLeast {
			d.fanMost = max(d.fanMost, (booked+float64(s.Held))/settled)
		}
	}
	if least, most, known := c.perFan(delay, d.lot); known {
		d.fanLeast, d.fanMost = least, most
	}
	// What all who came in take in the end, less what they have: at most that for
	// everybody inside, and at least the held seats that do not come back.
	held := float64(s.Held) * (1 - c.comesBack(booked))
	d.insideMost = max(held, min(in*d.fanMost-booked, float64(inside)*d.fanMost))
	d.insideLeast = max(0, in*d.fanLeast-booked)
	return d
}

// comesBack is the share of held seats that come back, as far as it was seen: seats that
// come back while others are taken are not, so it is rather too low. 0 until as many were
// seen as count.
func (c *conversion) comesBack(booked float64) float64 {
	if seen := float64(c.returned) + booked; seen >= learnLeast {
		return float64(c.returned) / seen
	}
	return 0
}
