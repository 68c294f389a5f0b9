package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/board"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

const (
	places      = 5_000_000
	boardRounds = 7
	// boardOld is after how long a board is made anew.
	boardOld    = 1100 * time.Millisecond
	admitRounds = 25
	admitted    = 1000
	megabyte    = 1e6
	kilobyte    = 1 << 10
)

var (
	joinFiveMillion = figure{name: "join-5m", unit: "s", target: 15, atMost: true}
	memoryOfPlaces  = figure{name: "redis-memory-5m", unit: "MB", target: 700, atMost: true}
	boardTime       = figure{name: "board-5m", unit: "ms", target: 60, atMost: true}
	boardBytes      = figure{name: "board-5m-to-an-edge", unit: "KB", target: 64, atMost: true}
	publicBoard     = figure{name: "public-board-5m-gzip", unit: "KB", target: 16, atMost: true}
	lookUp          = figure{name: "position-look-up", unit: "ns", target: 200, atMost: true}
	lookUpGarbage   = figure{name: "position-look-up-garbage", unit: "allocs", target: 0, atMost: true}
	admitThousand   = figure{name: "admit-1000-of-5m", unit: "ms", target: 10, atMost: true}
)

// fiveMillion is the queue at its largest: what a place costs, what it costs to see
// the order of all of them, and to admit from it.
var fiveMillion = study{
	figures: []figure{joinFiveMillion, memoryOfPlaces, boardTime, boardBytes, publicBoard, lookUp, lookUpGarbage, admitThousand},
	measure: func(ctx context.Context, l *lab, out *report) error {
		r, err := l.meteredRedis(ctx)
		if err != nil {
			return err
		}
		q := queue.Open(r.client, benchRoom)
		begun := time.Now()
		if err := measureJoining(ctx, r, q, out); err != nil {
			return err
		}
		ended := time.Now()
		b, err := measureBoard(ctx, r, q, out)
		if err != nil {
			return err
		}
		measureLookUp(b, begun, ended, out)
		if err := measurePublicBoard(ctx, l, r, out); err != nil {
			return err
		}
		return measureAdmission(ctx, q, out)
	},
}

func measureJoining(ctx context.Context, r *meteredRedis, q *queue.Queue, out *report) error {
	// The first call loads the script, and the first client makes its buffers.
	if err := fill(ctx, q, queue.MaxBatch); err != nil {
		return err
	}
	before, err := r.info(ctx, "memory", "used_memory")
	if err != nil {
		return err
	}
	cpu, err := r.cpu(ctx)
	if err != nil {
		return err
	}
	begun, own := time.Now(), ownTime()
	if err := fill(ctx, q, places); err != nil {
		return err
	}
	out.set(joinFiveMillion, time.Since(begun).Seconds())
	spent := ownTime() - own
	after, err := r.cpu(ctx)
	if err != nil {
		return err
	}
	out.note("a join costs %.2f us of CPU in Redis and %.2f at the edges, as part of a full batch",
		(after-cpu).Seconds()*1e6/places, spent.Seconds()*1e6/places)
	grown, err := r.info(ctx, "memory", "used_memory")
	if err != nil {
		return err
	}
	out.set(memoryOfPlaces, (grown-before)/megabyte)
	return nil
}

// measureBoard waits until the last board is too old, so that each call makes one.
// The time is that of Redis' one thread, in which nothing else can be done.
func measureBoard(ctx context.Context, r *meteredRedis, q *queue.Queue, out *report) (*board.Board, error) {
	var (
		last         *board.Board
		times, waits []float64
		bytes        int64
	)
	for range boardRounds {
		if err := pause(ctx, boardOld); err != nil {
			return nil, err
		}
		cpu, err := r.cpu(ctx)
		if err != nil {
			return nil, err
		}
		received, begun := r.received.Load(), time.Now()
		if last, err = q.Board(ctx); err != nil {
			return nil, err
		}
		waits = append(waits, time.Since(begun).Seconds()*1000)
		bytes = r.received.Load() - received
		after, err := r.cpu(ctx)
		if err != nil {
			return nil, err
		}
		times = append(times, (after-cpu).Seconds()*1000)
	}
	if last.Waiting() < places {
		return nil, fmt.Errorf("the board has %d places", last.Waiting())
	}
	out.set(boardTime, median(times))
	out.note("an edge that asks for it waits %.0f ms", median(waits))
	out.set(boardBytes, float64(bytes)/kilobyte)
	return last, nil
}

// measureLookUp looks up places from anywhere in the queue, as fans come.
func measureLookUp(b *board.Board, begun, ended time.Time, out *report) {
	const fans = 1 << 16
	anywhere := make([]place.Score, fans)
	for i := range anywhere {
		anywhere[i] = place.LiveScore(begun.Add(rand.N(ended.Sub(begun)))) //nolint:gosec // nobody has to guess these
	}
	sum := 0
	result := testing.Benchmark(func(tb *testing.B) {
		tb.ReportAllocs()
		i := 0
		for tb.Loop() {
			sum += b.Position(anywhere[i%fans])
			i++
		}
	})
	out.set(lookUp, float64(result.T.Nanoseconds())/float64(result.N))
	out.set(lookUpGarbage, float64(result.AllocsPerOp()))
}

// measurePublicBoard asks a running edge for what anybody may see.
func measurePublicBoard(ctx context.Context, l *lab, r *meteredRedis, out *report) error {
	site, err := l.backend()
	if err != nil {
		return err
	}
	edge, err := l.guardedEdge(ctx, edgeOptions{site: site, redis: r.url, admit: "1/h"})
	if err != nil {
		return err
	}
	for range 50 { // until the edge has read the order
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, edge.url+"/.waitroom/"+benchRoom+"/board", nil)
		if err != nil {
			return fmt.Errorf("asking for the board: %w", err)
		}
		request.Header.Set("Accept-Encoding", "gzip") // set by hand, so that it stays packed
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return fmt.Errorf("asking for the board: %w", err)
		}
		packed, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			return fmt.Errorf("reading the board: %w", err)
		}
		if len(packed) > kilobyte {
			out.set(publicBoard, float64(len(packed))/kilobyte)
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the edge did not show the board of the queue")
}

// measureAdmission lets a bucket run over, so that a tick admits as many as one
// call may, from the front of the whole queue.
func measureAdmission(ctx context.Context, q *queue.Queue, out *report) error {
	err := q.Configure(ctx, queue.Settings{
		Rate: 1_000_000, Per: time.Second, Burst: admitted, Active: 1_000_000,
		Session: time.Hour, ClaimWithin: time.Hour, AbandonAfter: time.Hour,
	})
	if err != nil {
		return err
	}
	var times []float64
	for range admitRounds {
		if err := pause(ctx, 10*time.Millisecond); err != nil { // the bucket fills in one
			return err
		}
		begun := time.Now()
		got, err := q.Tick(ctx, queue.TickInput{Limit: queue.NoLimit})
		if err != nil {
			return err
		}
		if got.Admitted == admitted {
			times = append(times, time.Since(begun).Seconds()*1000)
		}
	}
	if len(times) < admitRounds/2 {
		return fmt.Errorf("%d of %d ticks admitted %d", len(times), admitRounds, admitted)
	}
	out.set(admitThousand, median(times))
	return nil
}

// pause gives the system under test its time.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
