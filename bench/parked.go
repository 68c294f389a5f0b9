package main

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

const (
	// parkedFans is what one process can have: it may open 20,000 files.
	parkedFans = 19_000
	// handlerFans are enough for a mean, and few enough for the machine: 4,000 of
	// them take as much memory as 100,000 who are parked.
	handlerFans = 4_000
	// warmFans pay for what all share: code, caches, connection pools.
	warmFans = 200

	// Each round tells everybody something, so that lines come at a pace that can be
	// measured: the usual one of 5 s would take minutes for a second of CPU.
	lineRounds    = 5
	lineStretches = 3
	roundsWithin  = 60 * time.Second
)

var (
	parkedMemory    = figure{name: "parked-rss", unit: "KB/fan", target: 2, atMost: true}
	parkedLine      = figure{name: "parked-cpu-per-line", unit: "us", target: 10, atMost: true}
	parkedTLSMemory = figure{name: "parked-tls-rss", unit: "KB/fan", target: 10, atMost: true}
	parkedTLSLine   = figure{name: "parked-tls-cpu-per-line", unit: "us", target: 10, atMost: true}
	handlerMemory   = figure{name: "goroutine-to-parked-rss", unit: "x", target: 20}
)

// parkedPlain and parkedTLS are what a fan costs the edge who waits on a parked
// HTTP/1.1 connection, and beside it what one costs who keeps a goroutine: of the
// edge itself (HTTP/2, which cannot be parked) and of a plain Go server.
var (
	parkedPlain = parkedStudy(false, parkedMemory, parkedLine, handlerMemory)
	parkedTLS   = parkedStudy(true, parkedTLSMemory, parkedTLSLine)
)

func parkedStudy(secure bool, memory, line figure, ratio ...figure) study {
	return study{
		figures: append([]figure{memory, line}, ratio...),
		measure: func(ctx context.Context, l *lab, out *report) error {
			parked, err := l.waiting(ctx, waiters{secure: secure, how: byHTTP1, fans: parkedFans})
			if err != nil {
				return err
			}
			bare, err := bareWrite(ctx)
			if err != nil {
				return err
			}
			out.set(memory, parked.memory)
			out.set(line, parked.line)
			out.note("write(2) of %d bytes to a socket, and nothing else, takes %.2f us here now; load average %s", bareLine, bare, loadAverage())
			handlers, err := l.compare(ctx, secure, parked, out)
			if err != nil {
				return err
			}
			for _, f := range ratio {
				out.set(f, handlers.memory/parked.memory)
			}
			return nil
		},
	}
}

// waiters are fans who wait in one way.
type waiters struct {
	secure   bool
	how      string
	handlers bool // at the plain server, not the edge
	env      []string
	fans     int
}

// cost is what one of them costs.
type cost struct {
	memory float64 // KB of the process
	line   float64 // microseconds of its CPU
}

// waiting gives them an edge of their own.
func (l *lab) waiting(ctx context.Context, w waiters) (cost, error) {
	own, err := newLab(l.binary)
	if err != nil {
		return cost{}, err
	}
	defer own.close()
	edge, err := own.parkingPlace(ctx, w)
	if err != nil {
		return cost{}, err
	}
	r, err := own.meter(edge.redis)
	if err != nil {
		return cost{}, err
	}
	q := queue.Open(r.client, benchRoom)
	warm, err := wait(ctx, edge, w.how, 0, warmFans)
	if err != nil {
		return cost{}, err
	}
	defer warm.leave()
	before, err := settled(ctx, edge.process.PID(), edge.collect)
	if err != nil {
		return cost{}, err
	}
	c, err := wait(ctx, edge, w.how, warmFans, w.fans-warmFans)
	if err != nil {
		return cost{}, err
	}
	defer c.leave()
	after, err := settled(ctx, edge.process.PID(), edge.collect)
	if err != nil {
		return cost{}, err
	}
	c.join(warm)
	line, err := lineCost(ctx, edge, q, c)
	return cost{memory: (after - before) / kilobyte / float64(w.fans-warmFans), line: line}, err
}

func (l *lab) parkingPlace(ctx context.Context, w waiters) (guarded, error) {
	if w.handlers {
		return l.handlers(ctx, w.secure)
	}
	site, err := l.backend()
	if err != nil {
		return guarded{}, err
	}
	return l.guardedEdge(ctx, edgeOptions{site: site, admit: "1/h", secure: w.secure, env: w.env})
}

// lineCost is the CPU time of the edge by the lines that its fans get meanwhile, as
// the median of some stretches. Whatever else the edge does in that time is counted too.
func lineCost(ctx context.Context, edge guarded, q *queue.Queue, c *crowd) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, roundsWithin)
	defer cancel()
	var costs []float64
	for stretch := range lineStretches {
		lines, err := c.lines(ctx)
		if err != nil {
			return 0, err
		}
		used, err := cpuTime(edge.process.PID())
		if err != nil {
			return 0, err
		}
		had := lines
		for round := range lineRounds {
			if had, err = tell(ctx, q, c, had, fmt.Sprintf("Round %d.%d: please stay on this page.", stretch, round)); err != nil {
				return 0, err
			}
		}
		after, err := cpuTime(edge.process.PID())
		if err != nil {
			return 0, err
		}
		costs = append(costs, float64((after-used).Microseconds())/float64(had-lines))
	}
	return median(costs), nil
}

// tell gives everybody a line and returns when they have had it.
func tell(ctx context.Context, q *queue.Queue, c *crowd, had int, message string) (int, error) {
	if err := q.SetMessage(ctx, message); err != nil {
		return 0, err
	}
	for due := had + c.fans; had < due; {
		err := pause(ctx, 50*time.Millisecond)
		if err != nil {
			return 0, fmt.Errorf("%d of %d fans were not told: %w", due-had, c.fans, err)
		}
		if had, err = c.lines(ctx); err != nil {
			return 0, err
		}
	}
	return had, nil
}
