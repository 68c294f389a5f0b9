package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

const (
	entrants   = 1_000_000
	drawWithin = time.Minute
)

var drawTime = figure{name: "draw-1m", unit: "s", target: 20, atMost: true}

// drawOfAMillion is the time from the end of the lobby to a queue that moves: the
// cohort is read and frozen, its Merkle root is published, and every place in the
// queue has its drawn score. One edge does it all, and everybody waits meanwhile.
var drawOfAMillion = study{
	figures: []figure{drawTime},
	measure: func(ctx context.Context, l *lab, out *report) error {
		r, err := l.meteredRedis(ctx)
		if err != nil {
			return err
		}
		opens := time.Now().Truncate(time.Second)
		q := queue.Open(r.client, benchRoom)
		if err := fillLobby(ctx, q, entrants, opens.Unix()); err != nil {
			return err
		}
		edge := room.New(room.Deps{Queue: q}, room.Config{
			Name: benchRoom, Opens: opens, Lobby: time.Hour, DrawKey: []byte("of the benchmark"),
			Queue: queue.Settings{Rate: 1, Per: time.Hour, Active: 1000, Session: time.Hour, ClaimWithin: time.Hour, AbandonAfter: time.Hour},
		})
		cpu, err := r.cpu(ctx)
		if err != nil {
			return err
		}
		begun := time.Now()
		edge.Start()
		defer func() { _ = edge.Close(ctx) }() // it has no fans that could be kept waiting
		for edge.View().State != room.Open {
			if time.Since(begun) > drawWithin {
				return fmt.Errorf("the draw was not over after %s", drawWithin)
			}
			if err := pause(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
		out.set(drawTime, time.Since(begun).Seconds())
		after, err := r.cpu(ctx)
		if err != nil {
			return err
		}
		out.note("of it Redis had %.1f s of CPU", (after - cpu).Seconds())
		return checkDraw(edge.Draw(), out)
	},
}

// checkDraw is what anybody does afterwards with the public files.
func checkDraw(d room.PublishedDraw, out *report) error {
	record, err := draw.ParseRecord(d.Record)
	if err != nil {
		return err
	}
	if d.Cohort == nil || d.Cohort.Len() != entrants {
		return errors.New("the cohort is not that of the lobby")
	}
	file, err := d.Cohort.MarshalBinary()
	if err != nil {
		return err
	}
	begun := time.Now()
	cohort, err := draw.ParseCohort(file)
	if err != nil {
		return err
	}
	if _, err := draw.Verify(draw.Record{}, record, cohort); err != nil {
		return err
	}
	out.note("checking the draw of %d from its public files takes %.1f s", entrants, time.Since(begun).Seconds())
	return nil
}
