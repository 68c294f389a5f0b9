package room

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// What fans are told is held against what became of them, in whole simulated sales: of
// those told "likely" at least 95 of 100 could buy, of those told "unlikely" at most half.
// Who could buy is whoever was let in and found a free seat at any time; fans who left by
// themselves do not count.
func TestWhatFansAreToldAboutTheirChanceIsTrue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		crowd
	}{
		{"most buy", crowd{fans: 40000, seats: 30000, rate: 5, buys: 0.8, most: 4, returns: 0.1}},
		{"half buy", crowd{fans: 40000, seats: 20000, rate: 5, buys: 0.5, most: 4, returns: 0.2}},
		{"few buy", crowd{fans: 40000, seats: 10000, rate: 8, buys: 0.2, most: 4, returns: 0.2}},
		{"hardly any buys", crowd{fans: 20000, seats: 1500, rate: 10, buys: 0.15, most: 2, returns: 0.3}},
		{"one ticket each", crowd{fans: 20000, seats: 8000, rate: 5, buys: 0.8, most: 1, returns: 0.2}},
		{"six tickets each", crowd{fans: 20000, seats: 30000, rate: 3, buys: 0.95, most: 6, returns: 0.05, limit: 6}},
		{"many no-shows", crowd{fans: 40000, seats: 15000, rate: 5, noShow: 0.3, buys: 0.7, most: 4, returns: 0.2}},
		{"half comes back", crowd{fans: 40000, seats: 10000, rate: 5, buys: 0.7, most: 4, returns: 0.5}},
		{"the cap is full", crowd{fans: 30000, seats: 15000, rate: 8, active: 1000, buys: 0.6, most: 4, returns: 0.2}},
		{"the site releases", crowd{fans: 40000, seats: 20000, rate: 5, buys: 0.6, most: 4, returns: 0.2, release: true}},
		{"many leave", crowd{fans: 40000, seats: 15000, rate: 5, buys: 0.6, most: 4, returns: 0.2, leaves: 0.005}},
		{"fewer and fewer buy", crowd{fans: 40000, seats: 20000, rate: 5, buys: 0.8, most: 4, returns: 0.2, drift: 0.5}},
		{"more and more buy", crowd{fans: 40000, seats: 20000, rate: 5, buys: 0.5, most: 4, returns: 0.2, drift: -0.3}},
		{"a small sale", crowd{fans: 3000, seats: 500, rate: 1, buys: 0.5, most: 2, returns: 0.2}},
		{"enough for all", crowd{fans: 4000, seats: 10000, rate: 2, buys: 0.7, most: 4, returns: 0.2}},
	} {
		said, could := sellAndAsk(t, c.crowd)
		share := func(chance Chance) float64 { return 100 * float64(could[chance]) / float64(max(1, said[chance])) }
		line := fmt.Sprintf("%-20s", c.name)
		for _, chance := range []Chance{ChanceLikely, ChanceUnlikely, ChanceUnknown} {
			line += fmt.Sprintf("  %s %6d times, %5.1f %% could", chance, said[chance], share(chance))
		}
		t.Log(line)
		if said[ChanceLikely] > 0 && share(ChanceLikely) < 95 {
			t.Errorf("%s: of those told that it is likely, %.1f %% could buy", c.name, share(ChanceLikely))
		}
		if share(ChanceUnlikely) > 50 {
			t.Errorf("%s: of those told that it is unlikely, %.1f %% could buy", c.name, share(ChanceUnlikely))
		}
		if said[ChanceNone] > 0 {
			t.Errorf("%s: %d were told that there is nothing left before it was sold out", c.name, said[ChanceNone])
		}
		if all := said[ChanceLikely] + said[ChanceUnlikely] + said[ChanceUnknown]; said[ChanceUnknown] > all*45/100 {
			t.Errorf("%s: %d of %d were told nothing", c.name, said[ChanceUnknown], all)
		}
	}
}

// sellAndAsk runs a sale in which each 25th fan looks once a minute.
func sellAndAsk(t *testing.T, c crowd) (said, could map[Chance]int) {
	t.Helper()
	s := simulate(t, c)
	for s.step() {
		if s.now%60 == 1 {
			s.ask(25)
		}
	}
	said, could = map[Chance]int{}, map[Chance]int{}
	for _, f := range s.line {
		if f.gone {
			continue
		}
		for _, w := range f.told {
			said[w.chance]++
			if s.could(f) {
				could[w.chance]++
			}
		}
	}
	return said, could
}

func TestTheChanceIsNoneOnlyWhenAllIsSold(t *testing.T) {
	t.Parallel()
	one := &Stock{State: StockAllHeld, Capacity: 50000, Held: 1, Booked: 49999}
	some := &Stock{State: StockAvailable, Capacity: 100, Free: 90, Held: 10}
	for name, tc := range map[string]struct {
		v        View
		position int
		want     Chance
	}{
		"no stock":             {View{State: Open}, 1, ChanceUnknown},
		"not for sale yet":     {View{State: Open, Stock: &Stock{State: StockNotOpen, Free: 5}}, 1, ChanceUnknown},
		"no position":          {View{State: Open, Stock: some}, 0, ChanceUnknown},
		"closed":               {View{State: Closed, Stock: some}, 1, ChanceUnknown},
		"an old count":         {View{State: Open, Stock: some, demand: demand{stale: true}}, 1, ChanceUnknown},
		"near":                 {View{State: Open, Stock: some, demand: demand{fanMost: 2, fanLeast: 1, lot: 2}}, 30, ChanceLikely},
		"too close to call":    {View{State: Open, Stock: some, demand: demand{fanMost: 2, fanLeast: 1, lot: 2}}, 60, ChanceUnknown},
		"far":                  {View{State: Open, Stock: some, demand: demand{fanMost: 2, fanLeast: 1, lot: 2}}, 101, ChanceUnlikely},
		"one seat, far behind": {View{State: Open, Stock: one, demand: demand{fanMost: 2, fanLeast: 1, lot: 2}}, 5_000_000, ChanceUnlikely},
		"sold out":             {View{State: SoldOut, Stock: some}, 1, ChanceNone},
	} {
		if got := tc.v.Chance(tc.position); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// The bounds hold whatever time passes between admission and purchase, and meet when
// admission is even.
func TestTheBoundsOfWhatAFanTakesHoldForEveryDelay(t *testing.T) {
	t.Parallel()
	const session, seatsEach = 600, 2 // half of them buy two, so one each
	for _, delay := range []int{0, 60, 300, 599} {
		for name, admitted := range map[string]func(second int) int{
			"evenly":    func(s int) int { return 4 * s },
			"in waves":  func(s int) int { return 4*s + int(180*math.Sin(float64(s)/48)) }, // between 0 and 8 a second
			"and stops": func(s int) int { return min(4*s, 8000) },
		} {
			var c conversion
			start := time.Unix(1e9, 0)
			for s := range 3600 {
				booked := max(0, admitted(max(0, s-delay))) / 2 * seatsEach
				c.note(&Stock{At: start.Add(time.Duration(s) * time.Second), Booked: booked, Free: 100000 - booked}, int64(admitted(s)), 0)
			}
			least, most, known := c.perFan(session*time.Second, 2)
			if !known || least > 1 || most < 1 {
				t.Errorf("%s, %d s later: between %.2f and %.2f (%v), and it is 1", name, delay, least, most, known)
			}
			if name == "evenly" && most-least > 0.15 {
				t.Errorf("%s, %d s later: between %.2f and %.2f is no answer", name, delay, least, most)
			}
		}
	}
}

// Memory of a sale is bounded however long it lasts.
func TestALongSaleIsRememberedInLittle(t *testing.T) {
	t.Parallel()
	var c conversion
	start := time.Unix(1e9, 0)
	for s := range 200_000 {
		c.note(&Stock{At: start.Add(time.Duration(s) * time.Second), Booked: s}, int64(s), 0)
	}
	if len(c.samples) > learnSamples || !c.samples[0].at.Equal(start) || c.samples[len(c.samples)-1].booked != 199_999 {
		t.Errorf("%d samples from %v to %d", len(c.samples), c.samples[0].at, c.samples[len(c.samples)-1].booked)
	}
	if got, _ := c.at(start.Add(100_000 * time.Second)); got < 99_000 || got > 101_000 {
		t.Errorf("halfway there were %v", got)
	}
	c.note(&Stock{At: start.Add(200_000 * time.Second), Booked: 5}, 7, 3)
	if len(c.samples) != 1 || c.in != 3 {
		t.Error("another sale is taken for this one")
	}
}
