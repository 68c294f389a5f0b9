package ticketsapp

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// What is unusual is said in words, with what to do; what is usual is not.
func TestNotesSayWhatIsUnusualAndWhatToDo(t *testing.T) {
	now := time.Date(2026, 12, 1, 10, 2, 3, 0, time.UTC)
	orders := []queue.Record{
		{What: queue.WhatPause, At: now.Add(-time.Hour), By: queue.By{User: "bob"}},
		{What: queue.WhatPause, At: now, By: queue.By{User: "ada", Reason: "the site is slow"}},
		{What: queue.WhatMessage, At: now.Add(time.Minute), By: queue.By{User: "eve"}},
	}
	for name, tc := range map[string]struct {
		rep  Report
		bad  bool
		says []string
	}{
		"all is well":            {Report{}, false, nil},
		"nobody waits":           {Report{Held: room.HeldNobodyHere}, false, nil},
		"Redis is away":          {Report{Held: room.HeldRedisAway}, true, []string{"Redis is away", "Do not restart the edges"}},
		"it is settling":         {Report{Held: room.HeldSettling}, true, []string{"without its data"}},
		"paused":                 {Report{Held: room.Held(room.Paused), Room: "arena", Orders: orders}, true, []string{"since 10:02:03 UTC by ada (the site is slow)", "caddy-tickets room resume arena"}},
		"paused by nobody known": {Report{Held: room.Held(room.Paused), Room: "arena"}, true, []string{"The room is paused. "}},
		"the site is unwell":     {Report{Held: room.HeldUnwell, Edges: 3, EdgesUnwell: 2, SiteUnwell: true, SiteWhy: "it answers 503"}, true, []string{"2 of 3 edges find the site behind the room unwell (it answers 503)", "goes on by itself"}},
		"only for this edge":     {Report{SiteUnwell: true, SiteWhy: "it answers 503"}, true, []string{"This edge finds the site behind the room unwell (it answers 503)", "this edge's way"}},
		"only for another":       {Report{Edges: 3, EdgesUnwell: 1}, true, []string{"1 of 3 edges", "admission goes on"}},
		"it waits for a beacon":  {Report{State: "drawing", Draw: &room.DrawState{Stage: room.DrawFrozen, Entrants: 5, Beacon: "drand round 7"}}, false, []string{"5 entrants waits for its beacon: drand round 7"}},
		"a draw was taken away":  {Report{Stranded: 7}, true, []string{"7 fans came into a lobby", "method lottery again"}},
		"it is drawing":          {Report{State: "drawing", Draw: &room.DrawState{Stage: room.DrawDrawn, Entrants: 5, Beacon: "drand round 7"}}, false, []string{"is being made"}},
		"the draw stands":        {Report{State: "drawing", Draw: &room.DrawState{Stage: room.DrawFrozen, Trouble: "the record is another"}}, true, []string{"cannot go on: the record is another", "safe"}},
		"the draw is over":       {Report{State: "open", Draw: &room.DrawState{Stage: room.DrawEntered, Entrants: 5}}, false, nil},
		"full":                   {Report{Held: room.HeldFull, ActiveCap: 2000}, false, []string{"all 2000 passes are in use"}},
		"nothing is free":        {Report{Held: room.HeldNoStock}, false, []string{"nothing is free"}},
		"all is spoken for":      {Report{Held: room.HeldSpokenFor}, false, []string{"want all that is left"}},
		"settings differ":        {Report{Differences: []room.Difference{{Setting: "admit", Here: "500/m", InForce: "20/s"}, {Setting: "session", Here: "10m0s", InForce: "5m0s"}}}, true, []string{"admit is 20/s (here 500/m), session is 5m0s (here 10m0s)"}},
		"no word of seats":       {Report{Inventory: true}, true, []string{"has not said what is left"}},
		"an old word of seats":   {Report{Inventory: true, Stock: &room.Stock{At: now.Add(-time.Minute)}}, true, []string{"1m0s old"}},
		"a fresh word of seats":  {Report{Inventory: true, Stock: &room.Stock{At: now}}, false, nil},
		"a broken log":           {Report{Room: "arena", LogFaults: []string{"entry 5 was changed"}}, true, []string{"entry 5 was changed", "caddy-tickets room log arena"}},
	} {
		got := notes(&tc.rep, now)
		if len(tc.says) == 0 {
			if len(got) > 0 {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Bad != tc.bad {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		for _, want := range tc.says {
			if !strings.Contains(got[0].Text, want) {
				t.Errorf("%s: %q does not say %q", name, got[0].Text, want)
			}
		}
	}
}
