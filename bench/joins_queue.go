package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

const (
	joinRounds  = 5
	joinPlaces  = 1_000_000 // in each round
	joinCallers = 4         // edges that have a full batch under way
)

// joinsInQueue is how fast the queue package puts fans into one Redis, with
// batches as full as they are when many come at once. Each round fills a room of
// its own.
var joinsInQueue = figure{
	name: "joins-in-queue", unit: "joins/s", target: 400_000,
	measure: func(ctx context.Context, l *lab) (float64, error) {
		r, err := l.meteredRedis(ctx)
		if err != nil {
			return 0, err
		}
		var rates []float64
		for round := range joinRounds {
			q := queue.Open(r.client, fmt.Sprintf("round-%d", round))
			begun := time.Now()
			if err := fill(ctx, q, joinPlaces); err != nil {
				return 0, err
			}
			rates = append(rates, joinPlaces/time.Since(begun).Seconds())
			if err := r.empty(ctx); err != nil {
				return 0, err
			}
		}
		return median(rates), nil
	},
}

// fill joins n new visitors to a queue.
func fill(ctx context.Context, q *queue.Queue, n int) error { return fillLobby(ctx, q, n, 0) }

// fillLobby joins them to the lobby of a draw.
func fillLobby(ctx context.Context, q *queue.Queue, n int, draw int64) error {
	var (
		callers  sync.WaitGroup
		failures = make([]error, joinCallers)
		taken    atomic.Int64
	)
	for caller := range joinCallers {
		callers.Go(func() {
			entries := make([]queue.Entry, queue.MaxBatch)
			for {
				left := n - int(taken.Add(queue.MaxBatch)-queue.MaxBatch)
				if left <= 0 {
					return
				}
				entries = entries[:min(left, queue.MaxBatch)]
				for i := range entries {
					entries[i] = queue.Entry{Visitor: anybody(), Draw: draw}
				}
				if _, err := q.JoinBatch(ctx, entries); err != nil {
					failures[caller] = err
					return
				}
			}
		})
	}
	callers.Wait()
	return errors.Join(failures...)
}

// anybody is a visitor that has not been before. Drawing it from crypto/rand would
// take a third of what a join takes.
func anybody() (v place.Visitor) {
	binary.BigEndian.PutUint64(v[:8], rand.Uint64()) //nolint:gosec // nobody has to guess these
	binary.BigEndian.PutUint64(v[8:], rand.Uint64()) //nolint:gosec // nor these
	return v
}
