package main

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

const (
	workSettles = 1500 * time.Millisecond // until the edges have their settings and their first board
	workLasts   = 5 * time.Second
)

var (
	workSizes = []int{10_000, 100_000, 1_000_000, places}
	workEdges = []int{1, 2, 4}

	// Five hundred times the fans may cost no more commands: the edge asks by its
	// clock. A tenth is for the ticks that fall on one side of the end or the other.
	workPerFan = figure{name: "redis-commands-5m-to-10k", unit: "x", target: 1.1, atMost: true}
	// The board has a thousand entries for each tenfold of the queue, and every
	// look-up by rank goes down one more level: what is left grows as the logarithm.
	workCPU = figure{name: "redis-cpu-5m-one-edge", unit: "ms/s", target: 60, atMost: true}
	// What one more edge costs at five million: its ticks, and reading the board
	// that another has made.
	workCPUPerEdge = figure{name: "redis-cpu-5m-further-edge", unit: "ms/s", target: 10, atMost: true}
)

// redisWork shows what a second costs Redis while fans wait: real rooms tick and
// read boards, and nobody joins.
var redisWork = study{
	figures: []figure{workPerFan, workCPU, workCPUPerEdge},
	measure: func(ctx context.Context, l *lab, out *report) error {
		r, err := l.meteredRedis(ctx)
		if err != nil {
			return err
		}
		out.note("%10s %6s %14s %12s %14s %12s", "places", "edges", "commands/s", "KB/s read", "in scripts/s", "CPU ms/s")
		seen := make(map[[2]int]work)
		waiting := 0
		for _, size := range workSizes {
			if err := fill(ctx, queue.Open(r.client, benchRoom), size-waiting); err != nil {
				return err
			}
			waiting = size
			for _, edges := range workEdges {
				w, err := r.work(ctx, edges)
				if err != nil {
					return err
				}
				seen[[2]int{size, edges}] = w
				out.note("%10d %6d %14.1f %12.0f %14.0f %12.1f", size, edges, w.commands, w.received/kilobyte, w.inScripts, w.cpu)
			}
		}
		one, many := workEdges[0], workEdges[len(workEdges)-1]
		most := seen[[2]int{places, one}]
		out.set(workPerFan, most.commands/seen[[2]int{workSizes[0], one}].commands)
		out.set(workCPU, most.cpu)
		out.set(workCPUPerEdge, (seen[[2]int{places, many}].cpu-most.cpu)/float64(many-one))
		return nil
	},
}

// work is what a second costs Redis.
type work struct {
	commands  float64 // that the edges sent
	received  float64 // bytes that they got
	inScripts float64 // commands that the scripts called, most of them for the board
	cpu       float64 // milliseconds of the server
}

// work runs as many edges for a while, each with a client of its own.
func (r *meteredRedis) work(ctx context.Context, edges int) (w work, err error) {
	var m meter
	for range edges {
		options, err := r.options(&m)
		if err != nil {
			return work{}, err
		}
		client := r.open(options, &m)
		defer func() { _ = client.Close() }()
		edge := room.New(room.Deps{Queue: queue.Open(client, benchRoom)}, room.Config{Name: benchRoom, Queue: queue.Settings{
			Rate: 500, Per: time.Minute, Active: 5000, Session: 10 * time.Minute, ClaimWithin: 2 * time.Minute, AbandonAfter: 2 * time.Minute,
		}})
		edge.Start()
		defer func() {
			if failed := edge.Close(ctx); err == nil && failed != nil {
				err = fmt.Errorf("ending an edge: %w", failed)
			}
		}()
	}
	if err := pause(ctx, workSettles); err != nil {
		return work{}, err
	}
	before, err := r.used(ctx, &m)
	if err != nil {
		return work{}, err
	}
	begun := time.Now()
	if err := pause(ctx, workLasts); err != nil {
		return work{}, err
	}
	lasted := time.Since(begun).Seconds()
	after, err := r.used(ctx, &m)
	if err != nil {
		return work{}, err
	}
	commands := after.commands - before.commands
	return work{
		commands:  commands / lasted,
		received:  (after.received - before.received) / lasted,
		inScripts: (after.inScripts - before.inScripts - commands) / lasted,
		cpu:       (after.cpu - before.cpu) / lasted,
	}, nil
}

// used is what the server and the clients counted so far; inScripts with the
// commands of the edges, for Redis does not tell them apart.
func (r *meteredRedis) used(ctx context.Context, m *meter) (work, error) {
	cpu, err := r.cpu(ctx)
	if err != nil {
		return work{}, err
	}
	all, err := r.info(ctx, "stats", "total_commands_processed")
	return work{
		commands: float64(m.commands.Load()), received: float64(m.received.Load()),
		inScripts: all, cpu: cpu.Seconds() * 1000,
	}, err
}
