package room

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

func TestAnOperatorIsToldWhyNobodyIsLetIn(t *testing.T) {
	t.Parallel()
	now := time.Unix(2e9, 0)
	for want, change := range map[Held]func(*Room, *queue.Tick){
		NotHeld:      func(*Room, *queue.Tick) {},
		"paused":     func(_ *Room, t *queue.Tick) { t.Paused = true },
		HeldSettling: func(r *Room, _ *queue.Tick) { r.settleUntil = now.Add(time.Hour) },
		HeldUnwell:   func(_ *Room, t *queue.Tick) { t.Edges, t.EdgesUnwell = 2, 1 },
		HeldNoStock:  func(r *Room, _ *queue.Tick) { r.stock = &Stock{State: StockAllHeld, Held: 5, At: r.deps.Clock.Now()} },
		HeldSpokenFor: func(r *Room, t *queue.Tick) {
			r.stock, t.Active = &Stock{State: StockAvailable, Free: 1, At: r.deps.Clock.Now()}, 9
		},
		HeldFull:       func(_ *Room, t *queue.Tick) { t.Active, t.Turns = 990, 10 },
		HeldNobodyHere: func(_ *Room, t *queue.Tick) { t.Waiting = 0 },
		"sold-out":     func(r *Room, _ *queue.Tick) { r.stock = &Stock{State: StockSoldOut} },
	} {
		r := New(Deps{Queue: queue.Open(nil, "arena")}, usual()) // it is never asked
		tick := queue.Tick{Now: now, Generations: []uint32{1}, Waiting: 5, Settings: inForce(usual().Queue)}
		r.mu.Lock()
		change(r, &tick)
		r.mu.Unlock()
		r.took(tick, r.deps.Clock.Now())
		if got := r.Held(); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
		if want == NotHeld {
			r.missed(queue.ErrUnavailable)
			r.missed(queue.ErrUnavailable)
			if got := r.Held(); got != HeldRedisAway {
				t.Errorf("without Redis: %q", got)
			}
		}
	}
}

func TestSettingsThatDifferAreNamed(t *testing.T) {
	t.Parallel()
	e := openEdge(t, usual())
	e.tick(t.Context())
	if got := e.Differences(); len(got) > 0 {
		t.Errorf("the edge's own settings differ: %+v", got)
	}
	other := usual().Queue
	other.Rate, other.Per, other.Session = 500, time.Minute, 5*time.Minute
	if _, err := e.Give(t.Context(), queue.Order{What: queue.WhatSettings, Settings: other}); err != nil {
		t.Fatal(err)
	}
	e.tick(t.Context())
	want := []Difference{{"admit", "1000/s", "500/m"}, {"session", "1m0s", "5m0s"}}
	if got := e.Differences(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Two edges whose files say different times would open one room twice.
func TestAnotherScheduleIsInTheLogAndNamed(t *testing.T) {
	t.Parallel()
	server := devstack.Redis(t)
	opens := time.Date(2030, 12, 1, 10, 0, 0, 0, time.UTC)
	cfg := usual()
	cfg.Opens, cfg.Lobby, cfg.Method = opens, time.Hour, Fifo
	one := newEdge(t, server, cfg)
	cfg.Opens = opens.Add(5 * time.Minute)
	other := newEdge(t, server, cfg)
	for range 2 {
		one.tick(t.Context())
		other.tick(t.Context())
	}
	one.tick(t.Context())
	want := []Difference{{"opens", "2030-12-01T10:00:00Z", "2030-12-01T10:05:00Z"}}
	if got := one.Differences(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := other.Differences(); len(got) > 0 {
		t.Errorf("the edge that loaded last differs: %+v", got)
	}
	last := one.Orders().Records
	if r := last[len(last)-1]; r.What != queue.WhatSettings || r.Before["opens"] != want[0].Here || r.After["opens"] != want[0].InForce || r.After["method"] != "fifo" {
		t.Errorf("the log says %+v", r)
	}
	if n := len(last); n != 3 {
		t.Errorf("%d entries: a schedule that was loaded before is loaded anew", n)
	}
}
