package room

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// Two edges at their real pace on one Redis.
func TestAnOrderActsOnEveryEdgeWithinASecond(t *testing.T) {
	t.Parallel()
	server := devstack.Redis(t)
	var edges []*Room
	for range 2 {
		r := New(Deps{Queue: queue.Open(server.Client(), "arena")}, usual())
		r.Start()
		t.Cleanup(func() { _ = r.Close(t.Context()) })
		edges = append(edges, r)
	}
	both := func(what string, holds func(*View) bool) {
		t.Helper()
		began := time.Now()
		eventually.Holds(t, what, func() bool { return holds(edges[0].View()) && holds(edges[1].View()) })
		t.Logf("%s: %v", what, time.Since(began))
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: only after %v", what, took)
		}
	}
	order := func(at int, o queue.Order) {
		t.Helper()
		if _, err := edges[at].Give(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	eventually.Holds(t, "both have the settings", func() bool {
		return edges[0].View().Settings == inForce(usual().Queue) && edges[1].View().Settings == inForce(usual().Queue)
	})
	order(0, queue.Order{What: queue.WhatPause})
	both("paused", func(v *View) bool { return v.State == Paused })
	order(1, queue.Order{What: queue.WhatMessage, Message: "Back at nine."})
	both("told", func(v *View) bool { return v.Message == "Back at nine." })
	order(0, queue.Order{What: queue.WhatRate, Rate: 7, Per: time.Minute})
	both("slower", func(v *View) bool { return v.Settings.Rate == 7 && v.Settings.Per == time.Minute })
	order(1, queue.Order{What: queue.WhatResume, By: queue.By{User: "ada", Host: "ops-1"}})
	both("open", func(v *View) bool { return v.State == Open })

	eventually.Holds(t, "both know the last orders", func() bool {
		for _, e := range edges {
			o := e.Orders()
			n := len(o.Records)
			if n != 6 || o.Records[n-1].What != queue.WhatResume || o.Records[n-1].By.User != "ada" || len(o.Faults) > 0 {
				return false
			}
		}
		return true
	})
}

func TestAnOrderIsInTheEdgesOwnLogWithItsHash(t *testing.T) {
	t.Parallel()
	e := openEdge(t, usual())
	var text bytes.Buffer
	e.log = slog.New(slog.NewJSONHandler(&text, nil))
	record, err := e.Give(t.Context(), queue.Order{What: queue.WhatPause, By: queue.By{User: "ada", Host: "ops-1", Address: "127.0.0.1:5", Edge: "a lie", Reason: "slow"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"order":"pause"`, `"user":"ada"`, `"host":"ops-1"`, `"address":"127.0.0.1:5"`, `"reason":"slow"`, `"hash":"` + record.Hash + `"`, `"after":{"paused":"true"}`, `"edge":"` + edgeName() + `"`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("it does not say %s: %s", want, text.String())
		}
	}
	text.Reset()
	if _, err := e.Give(t.Context(), queue.Order{What: queue.WhatSettings, Settings: usual().Queue}); err != nil || text.Len() > 0 {
		t.Errorf("what changes nothing is said: %v %s", err, text.String())
	}
}

func TestAfterALossThePauseIsPutBackAndTheLogSaysSo(t *testing.T) {
	t.Parallel()
	e := openEdge(t, usual())
	if _, err := e.Give(t.Context(), queue.Order{What: queue.WhatPause}); err != nil {
		t.Fatal(err)
	}
	e.age()
	if err := e.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	e.tick(t.Context())
	e.clock.Advance(time.Second)
	e.until("the orders are known again", func(*View) bool { return len(e.Orders().Records) == 3 })
	got := e.Orders().Records
	if !strings.Contains(got[0].Before["log"], "which Redis has lost") || got[1].What != queue.WhatPause || !strings.Contains(got[1].By.Reason, "put back") || got[2].What != queue.WhatSettings {
		t.Errorf("the log is %+v", got)
	}
}
