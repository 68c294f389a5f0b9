package room

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// crowd is how the fans of a simulated sale behave.
type crowd struct {
	fans    int
	seats   int
	rate    int     // admissions a second
	active  int     // cap
	noShow  float64 // share of turns that nobody claims
	buys    float64 // share of those inside who choose seats
	most    int     // seats at once: 1 to most, evenly
	returns float64 // share of holds that are given back
	leaves  float64 // share of those who wait that leaves in a minute
	release bool    // the site ends the session after the purchase
	drift   float64 // how much less of them buy at the end than at the beginning, as a share
	limit   int     // of tickets, as the room knows it
}

// sim is a sale in simulated time, a second a step: the fans are the test's, what they
// are told is the room's, and so is when they are let in.
type sim struct {
	crowd
	rnd    *rand.Rand
	room   *Room
	clock  *clock.Fake
	began  time.Time
	now    int
	events map[int][]func()

	free, held, booked        int
	tokens, back              float64
	turns, inside, waiting    int
	admitted, missed, arrived int

	line   []*simFan // in order; the front is at next
	next   int
	freeAt []bool // whether a seat was free in a second
}

type simFan struct {
	n         int
	gone      bool
	admitted  int // the second, -1 before
	told      []told
	expecting []expected
}

type told struct {
	chance   Chance
	position int
	at       int
}

type expected struct {
	at        int
	low, high time.Duration
}

const simSession, simClaim = 600, 120

func simulate(t testing.TB, c crowd) *sim {
	t.Helper()
	if c.active == 0 {
		c.active = 100_000
	}
	began := time.Unix(1.8e9, 0)
	s := &sim{crowd: c, rnd: rand.New(rand.NewPCG(1, 2)), clock: clock.NewFake(began), began: began, free: c.seats, events: map[int][]func(){}}
	cfg := usual()
	cfg.Queue = queue.Settings{Rate: c.rate, Per: time.Second, Burst: c.rate, Active: c.active, Session: simSession * time.Second, ClaimWithin: simClaim * time.Second}
	cfg.TicketLimit = c.limit
	cfg.Inventory = "http://192.0.2.1" // never asked
	s.room = New(Deps{Queue: queue.Open(nil, "arena"), Clock: s.clock}, cfg)
	s.waiting = c.fans
	for n := range c.fans {
		s.line = append(s.line, &simFan{n: n, admitted: -1})
	}
	return s
}

func (s *sim) in(seconds int, f func()) {
	at := s.now + max(1, seconds)
	s.events[at] = append(s.events[at], f)
}

// step is a second of the sale; false when it is over.
func (s *sim) step() bool {
	for _, f := range s.events[s.now] {
		f()
	}
	delete(s.events, s.now)
	stock := &Stock{State: StockAvailable, Capacity: s.seats, Free: s.free, Held: s.held, Booked: s.booked, At: s.clock.Now()}
	switch {
	case s.booked == s.seats:
		stock.State = StockSoldOut
	case s.free == 0:
		stock.State = StockAllHeld
	}
	cfg := s.room.cfg.Load()
	s.room.mu.Lock()
	s.room.tookStockLocked(stock)
	s.room.mu.Unlock()
	s.room.took(queue.Tick{
		Now: s.clock.Now(), Generations: []uint32{1}, Waiting: s.waiting, Turns: s.turns, Active: s.inside,
		AdmittedTotal: int64(s.admitted), NoShowsTotal: int64(s.missed), Settings: inForce(cfg.Queue),
	}, s.clock.Now())
	s.freeAt = append(s.freeAt, s.free > 0)

	s.room.mu.Lock()
	limit := s.room.limitLocked()
	s.room.mu.Unlock()
	s.tokens = min(s.tokens+float64(s.rate), float64(s.rate)) + s.back // a turn that was missed is given to the next
	s.back = 0
	n := min(int(s.tokens), s.active-s.inside-s.turns)
	if limit >= 0 {
		n = min(n, limit)
	}
	for ; n > 0 && s.next < len(s.line); s.next++ {
		if f := s.line[s.next]; !f.gone {
			s.admit(f)
			n--
		}
	}
	if s.leaves > 0 {
		for _, f := range s.line[s.next:] {
			if !f.gone && s.rnd.Float64() < s.leaves/60 {
				f.gone = true
				s.waiting--
			}
		}
	}
	s.clock.Advance(time.Second)
	s.now++
	return stock.State != StockSoldOut && (s.waiting > 0 || s.turns+s.inside > 0)
}

func (s *sim) admit(f *simFan) {
	f.admitted = s.now
	s.tokens--
	s.admitted++
	s.waiting--
	s.turns++
	if s.rnd.Float64() < s.noShow {
		s.in(simClaim, func() { s.turns--; s.missed++; s.back++ })
		return
	}
	s.in(1+s.rnd.IntN(10), func() {
		s.turns--
		s.inside++
		ends := s.now + simSession
		left := false
		leave := func() {
			if !left {
				left = true
				s.inside--
			}
		}
		s.in(simSession, leave)
		buys := s.buys * (1 - s.drift*float64(s.booked)/float64(s.seats))
		if s.rnd.Float64() < buys {
			s.in(20+s.rnd.IntN(220), func() { s.choose(ends, leave) })
		}
	})
}

func (s *sim) choose(ends int, leave func()) {
	if s.now >= ends {
		return
	}
	want := min(1+s.rnd.IntN(s.most), s.free)
	if want == 0 {
		s.in(5, func() { s.choose(ends, leave) })
		return
	}
	s.free, s.held = s.free-want, s.held+want
	s.in(30+s.rnd.IntN(240), func() {
		s.held -= want
		if s.rnd.Float64() < s.returns {
			s.free += want
			return
		}
		s.booked += want
		if s.release {
			leave()
		}
	})
}

// ask lets every so-and-so-manyth fan who waits look at the page.
func (s *sim) ask(each int) {
	v := s.room.View()
	position := 0
	for _, f := range s.line[s.next:] {
		if f.gone {
			continue
		}
		if position++; f.n%each != 0 {
			continue
		}
		f.told = append(f.told, told{v.Chance(position), position, s.now})
		if low, high, known := v.ETA(position); known {
			f.expecting = append(f.expecting, expected{s.now, low, high})
		}
	}
}

// could says whether a fan had a seat to take at any time inside.
func (s *sim) could(f *simFan) bool {
	if f.admitted < 0 {
		return false
	}
	for at := f.admitted; at < min(f.admitted+simSession, len(s.freeAt)); at++ {
		if s.freeAt[at] {
			return true
		}
	}
	return false
}
