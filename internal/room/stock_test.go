package room

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// seats is a seat service that a test makes say anything.
type seats struct {
	*httptest.Server
	body atomic.Pointer[string]
	hang chan struct{} // closed at the end; a handler that hangs waits for it
}

func newSeats(t *testing.T, body string) *seats {
	t.Helper()
	s := &seats{hang: make(chan struct{})}
	s.say(body)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/events/arena/summary" {
			http.NotFound(w, r)
			return
		}
		switch body := *s.body.Load(); body {
		case "hang":
			select {
			case <-s.hang:
			case <-r.Context().Done():
			}
		case "503":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte(body))
		}
	}))
	t.Cleanup(func() { close(s.hang); s.Close() })
	return s
}

func (s *seats) say(body string) { s.body.Store(&body) }

const (
	plenty  = `{"event":"arena","state":"available","capacity":500,"free":400,"held":50,"booked":50,"currency":"EUR","categories":[{"name":"A","price":5900,"capacity":500,"free":400,"held":50}]}`
	allHeld = `{"event":"arena","state":"all-held","capacity":500,"free":0,"held":50,"booked":450,"nextReleaseAt":"2026-12-01T10:00:00Z"}`
	soldOut = `{"event":"arena","state":"sold-out","capacity":500,"free":0,"held":0,"booked":500}`
	notOpen = `{"event":"arena","state":"not-open","capacity":500,"free":500,"held":0,"booked":0}`
)

func selling(t *testing.T, s *seats) *edge {
	t.Helper()
	cfg := usual()
	cfg.Inventory, cfg.InventoryEvent = s.URL, "arena"
	e := openEdge(t, cfg)
	e.pollStock(t.Context())
	return e
}

func TestAtSoldOutEveryWaitingFanIsToldAtOnceAndJoinsCostNoRedisCall(t *testing.T) {
	t.Parallel()
	s := newSeats(t, allHeld)
	e := selling(t, s)
	fans := e.crowd(5)
	streams := make([]*stream, len(fans))
	for i, f := range fans {
		streams[i] = e.park(f, 0)
		streams[i].event("position")
	}
	s.say(soldOut)
	e.pollStock(t.Context())
	for _, one := range streams {
		if got := one.event("soldout"); !strings.Contains(got, `"state":"sold-out"`) {
			t.Fatal(got)
		}
	}
	e.tick(t.Context())
	if e.View().Passed(fans[0].Score) {
		t.Error("somebody was admitted although nothing is left")
	}
	e.redis.Kill()
	if _, err := e.Join(t.Context(), visitor(t), JoinOptions{}); !errors.Is(err, ErrSoldOut) {
		t.Errorf("joining: %v", err)
	}
	if _, err := e.Claim(t.Context(), fans[0]); !errors.Is(err, ErrSoldOut) {
		t.Errorf("claiming: %v", err)
	}
	if got := e.View().Status(fans[0], 3); got.State != "sold-out" || got.Chance != ChanceNone {
		t.Errorf("%+v", got)
	}
}

func TestNobodyIsAdmittedForSeatsThatCannotBeSold(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"all held": allHeld, "not open": notOpen} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSeats(t, body)
			e := selling(t, s)
			fan := e.join(visitor(t))
			for range 3 {
				e.tick(t.Context())
			}
			if e.View().Passed(fan.Score) {
				t.Fatal("admitted")
			}
			s.say(plenty)
			e.pollStock(t.Context())
			e.until("there are seats", func(v *View) bool { return v.Passed(fan.Score) })
		})
	}
}

func TestASeatServiceThatFailsKeepsTheLastKnownStock(t *testing.T) {
	t.Parallel()
	s := newSeats(t, plenty)
	e := selling(t, s)
	for _, answer := range []string{
		"503", "hang", "", "<html>sold-out</html>", `{"state":"sold-out"`, `{"state":"whatever"}`,
		`{"state":"sold-out","capacity":500,"free":3}`, `{"state":"available","capacity":5,"free":-1}`,
		`{"state":"available","capacity":5,"free":50}`, `{"state":"available","pad":"` + strings.Repeat("x", maxStockBody) + `"}`,
	} {
		s.say(answer)
		e.pollStock(t.Context())
		if got := e.View().Stock; got == nil || got.Free != 400 || e.View().State != Open {
			t.Errorf("after %.40q: %+v", answer, got)
		}
	}
	s.Close()
	e.pollStock(t.Context())
	if got := e.View().Stock; got == nil || got.Free != 400 {
		t.Errorf("after it went away: %+v", got)
	}
}

func TestASeatServiceThatIsAwayDoesNotStopTheSale(t *testing.T) {
	t.Parallel()
	s := newSeats(t, allHeld)
	e := selling(t, s)
	fan := e.join(visitor(t))
	s.say("503")
	e.clock.Advance(stockTrust + time.Second)
	e.pollStock(t.Context())
	e.until("an old count holds nobody back", func(v *View) bool { return v.Passed(fan.Score) })
}

func TestTheStockLimitCountsWhoIsInside(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	for name, tc := range map[string]struct {
		stock                    *Stock
		inside, bought, per, out int
	}{
		"unknown":                    {nil, 10, 0, 2, -1},
		"old":                        {&Stock{State: StockAvailable, Free: 1, At: now.Add(-time.Hour)}, 0, 0, 2, -1},
		"old, sold out":              {&Stock{State: StockSoldOut, At: now.Add(-time.Hour)}, 0, 0, 2, 0},
		"plenty":                     {&Stock{State: StockAvailable, Free: 100, At: now}, 10, 0, 2, 90},
		"everybody inside wants one": {&Stock{State: StockAvailable, Free: 10, Held: 5, At: now}, 15, 0, 2, 0},
		"never more than free":       {&Stock{State: StockAvailable, Free: 3, Held: 50, At: now}, 10, 0, 2, 3},
		"nothing free":               {&Stock{State: StockAllHeld, Held: 50, At: now}, 0, 0, 2, 0},
		"buyers are done":            {&Stock{State: StockAvailable, Free: 10, At: now}, 200, 400, 2, 10},
		"half the buyers are done":   {&Stock{State: StockAvailable, Free: 150, At: now}, 200, 200, 2, 50},
		"not open":                   {&Stock{State: StockNotOpen, Free: 10, At: now}, 0, 0, 2, 0},
	} {
		if got := stockLimit(tc.stock, now, tc.inside, tc.bought, tc.per); got != tc.out {
			t.Errorf("%s: %d, want %d", name, got, tc.out)
		}
	}
}

func TestSalesRememberOneSession(t *testing.T) {
	t.Parallel()
	var s sales
	start := time.Unix(1e9, 0)
	for i := range 100 {
		s.note(start.Add(time.Duration(i)*saleEvery), 10*i)
	}
	if got := s.last(time.Minute); got != 120 {
		t.Errorf("%d in the last minute, want 120", got)
	}
	for i := range 3 * maxSamples {
		s.note(start.Add(time.Duration(100+i)*saleEvery), 1000+i)
	}
	if len(s.samples) > maxSamples {
		t.Errorf("%d samples", len(s.samples))
	}
	s.note(start.Add(24*time.Hour), 3)
	if got := s.last(time.Hour); got != 0 {
		t.Errorf("%d booked after the count began again", got)
	}
}
