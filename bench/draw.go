package main

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

const entrants = 1_000_000

// drawOfAMillion is the time from the end of the lobby to an order that anybody
// can check: the frozen cohort with its Merkle root, the seed, and all in the order
// of their scores.
var drawOfAMillion = figure{
	name: "draw-1m", unit: "s", target: 20, atMost: true,
	measure: func(ctx context.Context, _ *lab) (float64, error) {
		lobby := make([]draw.Entrant, entrants)
		for i := range lobby {
			lobby[i].Visitor = anybody()
		}
		secret := make([]byte, draw.SecretLength)
		_, _ = rand.Read(secret) // never fails
		opens := time.Now()
		record, err := draw.Commit(benchRoom, opens.Add(-time.Hour), opens, secret, draw.Beacon{})
		if err != nil {
			return 0, err
		}
		begun := time.Now()
		cohort := draw.NewCohort(lobby)
		record, err = record.Freeze(cohort).Finish(secret, nil)
		if err != nil {
			return 0, err
		}
		order := make([]place.Score, 0, cohort.Len())
		for _, e := range cohort.Entrants() {
			order = append(order, record.Score(e))
		}
		slices.Sort(order)
		took := time.Since(begun).Seconds()
		if len(order) != entrants || order[0] == order[entrants-1] {
			return 0, errors.New("the order is none")
		}
		return took, ctx.Err()
	},
}
