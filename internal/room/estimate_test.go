package room

import (
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// In whole simulated sales the real wait of at least 90 of 100 fans lies within the range
// that they were told, whenever they looked after the first minutes.
func TestTheRealWaitLiesWithinTheRange(t *testing.T) {
	t.Parallel()
	const warmUp = 5 * 60
	for _, c := range []struct {
		name  string
		width float64 // most that the longest is of the shortest, on average
		crowd
	}{
		{"everybody shows", 1.6, crowd{fans: 10000, seats: 100000, rate: 5, buys: 0.7, most: 2, returns: 0.2}},
		{"30 % no-shows", 1.8, crowd{fans: 20000, seats: 100000, rate: 5, noShow: 0.3, buys: 0.7, most: 2, returns: 0.2}},
		{"no-shows, the cap is full", 4, crowd{fans: 10000, seats: 100000, rate: 8, active: 1500, noShow: 0.3, buys: 0.7, most: 2, returns: 0.2}},
		{"no-shows, the site releases", 4, crowd{fans: 10000, seats: 100000, rate: 8, active: 1500, noShow: 0.3, buys: 0.7, most: 2, returns: 0.2, release: true}},
		{"no-shows, many leave", 1.8, crowd{fans: 20000, seats: 100000, rate: 5, noShow: 0.3, buys: 0.7, most: 2, returns: 0.2, leaves: 0.005}},
		{"no-shows, it sells out", 2.1, crowd{fans: 20000, seats: 10000, rate: 5, noShow: 0.3, buys: 0.7, most: 2, returns: 0.2}},
	} {
		s := simulate(t, c.crowd)
		for s.step() {
			if s.now%60 == 1 {
				s.ask(25)
			}
		}
		var all, early, late int
		var width float64
		for _, f := range s.line {
			for _, e := range f.expecting {
				if f.admitted < 0 || e.at < warmUp {
					continue
				}
				all++
				width += e.high.Seconds() / e.low.Seconds()
				switch real := time.Duration(f.admitted-e.at) * time.Second; {
				case real < e.low:
					early++
				case real > e.high:
					late++
				}
			}
		}
		within := 100 * float64(all-early-late) / float64(max(1, all))
		width /= float64(max(1, all))
		t.Logf("%-28s %6d times told, %5.1f %% within, %d sooner, %d later; the longest is %.2f times the shortest", c.name, all, within, early, late, width)
		if within < 90 || width > c.width {
			t.Errorf("%s: %.1f %% within a range of 1 to %.2f", c.name, within, width)
		}
	}
}

func TestTheWaitIsARangeAroundWhatIsMeasured(t *testing.T) {
	t.Parallel()
	set := queue.Settings{Rate: 600, Per: time.Minute, Active: 100, Session: 50 * time.Second} // 10/s; the cap lets 2/s through
	start := time.Unix(1e9, 0)
	waves := echo{} // each 50 s, 100 fans within 10 s and then nobody
	for s := range 51 {
		waves.note(start.Add(time.Duration(s)*time.Second), int64(min(10*s, 100)), set.Session)
	}
	for name, tc := range map[string]struct {
		v         View
		position  int
		low, high time.Duration // without the fifth and the quarter
		known     bool
	}{
		"by the set rate and the cap":     {View{State: Open, Settings: set}, 1000, 100 * time.Second, 500 * time.Second, true},
		"below the cap":                   {View{State: Open, Settings: set}, 50, 5 * time.Second, 5 * time.Second, true},
		"of the last minute":              {View{State: Open, Settings: set, measured: 4, measuring: true}, 60, 6 * time.Second, 15 * time.Second, true},
		"faster than set, by no-shows":    {View{State: Open, Settings: set, measured: 12, measuring: true}, 60, 5 * time.Second, 6 * time.Second, true},
		"it stands":                       {View{State: Open, Settings: set, measuring: true}, 50, 5 * time.Second, 55 * time.Second, true},
		"as a session ago":                {View{State: Open, Settings: set, echo: waves}, 50, 5 * time.Second, 5 * time.Second, true},
		"some sessions":                   {View{State: Open, Settings: set, echo: waves}, 450, 205 * time.Second, 205 * time.Second, true},
		"some sessions, and it stands":    {View{State: Open, Settings: set, echo: waves, measuring: true}, 450, 205 * time.Second, 205 * time.Second, true},
		"as a session ago, but it stands": {View{State: Open, Settings: set, echo: waves, measuring: true}, 50, 5 * time.Second, 55 * time.Second, true},
		"no position":                     {View{State: Open, Settings: set}, 0, 0, 0, false},
		"paused":                          {View{State: Paused, Settings: set}, 5, 0, 0, false},
		"Redis is away":                   {View{State: Open, Settings: set, Degraded: true}, 5, 0, 0, false},
		"the site is unwell":              {View{State: Open, Settings: set, Unwell: true}, 5, 0, 0, false},
		"no rate":                         {View{State: Open}, 5, 0, 0, false},
		"for ever":                        {View{State: Open, Settings: queue.Settings{Rate: 1, Per: time.Hour}}, 1 << 40, longestWait, longestWait, true},
	} {
		low, high, known := tc.v.ETA(tc.position)
		if want := min(tc.low*4/5, longestWait); tc.low < longestWait && low != want || known != tc.known {
			t.Errorf("%s: from %v, want %v", name, low, want)
		}
		if want := min(tc.high*5/4, longestWait); high != want {
			t.Errorf("%s: to %v, want %v", name, high, want)
		}
	}
}

func TestTheEchoIsOfOneSessionAndItsMemoryIsBounded(t *testing.T) {
	t.Parallel()
	var e echo
	start := time.Unix(1e9, 0)
	for _, cycle := range []time.Duration{10 * time.Second, 10 * time.Minute, 24 * time.Hour} {
		e.reset()
		if _, known := e.wait(1); known {
			t.Fatal("nothing is known, and believed")
		}
		for s := range int(2 * cycle.Seconds()) {
			now := start.Add(time.Duration(s) * time.Second)
			e.note(now, int64(3*s), cycle)
			if _, known := e.wait(1); known && now.Sub(start) < cycle {
				t.Fatalf("%v: believed after %v", cycle, now.Sub(start))
			}
		}
		if n := len(e.beats); n > echoBeats+3 || cap(e.beats) > 4*(echoBeats+3) {
			t.Errorf("%v: %d beats in %d", cycle, n, cap(e.beats))
		}
		for _, position := range []int{1, 30, int(3*cycle.Seconds()) - 1, 1_000_000} {
			got, known := e.wait(position)
			if want := float64(position) / 3; !known || got < want*0.99-1 || got > want*1.01+2*max(1, cycle.Seconds()/echoBeats) {
				t.Errorf("%v: position %d waits %v s, want %v", cycle, position, got, want)
			}
		}
	}
	e.note(start.Add(48*time.Hour), 0, 24*time.Hour) // Redis lost the counter
	if _, known := e.wait(1); known {
		t.Error("a lost counter is taken for a silence")
	}
}

func TestAnotherRateOrAPauseBeginsTheMeasurementAnew(t *testing.T) {
	t.Parallel()
	e := openEdge(t, usual())
	now, total := e.Now(), int64(0)
	settings := inForce(usual().Queue)
	run := func(change func(*queue.Tick)) {
		for range 20 {
			now, total = now.Add(time.Second), total+5
			tick := queue.Tick{Now: now, Generations: []uint32{1}, Waiting: 100, AdmittedTotal: total, Settings: settings}
			change(&tick)
			e.took(tick, now)
		}
	}
	for name, change := range map[string]func(*queue.Tick){
		"another rate": func(t *queue.Tick) { t.Settings.Rate = 7 },
		"a pause":      func(t *queue.Tick) { t.Paused = true },
		"nobody waits": func(t *queue.Tick) { t.Waiting = 0 },
	} {
		run(func(*queue.Tick) {})
		if v := e.View(); !v.measuring || v.measured != 5 {
			t.Fatalf("measured are %v a second", v.measured)
		}
		now, total = now.Add(time.Second), total+5
		tick := queue.Tick{Now: now, Generations: []uint32{1}, Waiting: 100, AdmittedTotal: total, Settings: settings}
		change(&tick)
		e.took(tick, now)
		if e.View().measuring {
			t.Errorf("%s: what was measured before is still believed", name)
		}
	}
}
