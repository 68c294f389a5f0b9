package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	joinConnections = 64
	joinLasting     = 5 * time.Second
)

// joinsOverHTTP is how fast one edge takes new fans: each loads the page, which
// makes them a visitor, and joins. Without the challenge, which is the fans' own
// work. The target is a quarter of a million arrivals in a minute on two cores.
var joinsOverHTTP = figure{
	name: "joins-over-http", unit: "joins/s", target: 4000,
	measure: func(ctx context.Context, l *lab) (float64, error) {
		site, err := l.backend()
		if err != nil {
			return 0, err
		}
		edge, err := l.guardedEdge(ctx, edgeOptions{site: site, admit: "1/h"})
		if err != nil {
			return 0, err
		}
		ctx, cancel := context.WithTimeout(ctx, joinLasting)
		defer cancel()
		var (
			joined  atomic.Int64
			workers sync.WaitGroup
			failed  atomic.Pointer[error]
		)
		begun := time.Now()
		for range joinConnections {
			workers.Go(func() {
				n, err := joinOver(ctx, edge.address)
				joined.Add(n)
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			})
		}
		workers.Wait()
		if err := failed.Load(); err != nil {
			return 0, *err
		}
		return float64(joined.Load()) / time.Since(begun).Seconds(), nil
	},
}

// joinOver joins one fan after the other over one connection.
func joinOver(ctx context.Context, address string) (joined int64, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	head := " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: bench\r\n"
	page := "GET /" + head + "Accept: text/html\r\n\r\n"
	join := "POST /.waitroom/" + benchRoom + "/join" + head + "Accept: application/json\r\nContent-Length: 0\r\nOrigin: http://" + address + "\r\nCookie: "
	for ctx.Err() == nil {
		seen, err := exchange(conn, reader, page)
		if err != nil {
			return joined, err
		}
		got, err := exchange(conn, reader, join+seen.cookie+"\r\n\r\n")
		if err != nil {
			return joined, err
		}
		if got.status != 201 {
			return joined, fmt.Errorf("a join was answered %d", got.status)
		}
		joined++
	}
	return joined, nil
}

// joinsInQueue is the same without HTTP: how fast the queue package puts fans
// into Redis, many at a time. The package's own benchmark measures it.
var joinsInQueue = figure{
	name: "joins-in-queue", unit: "joins/s", target: 200_000,
	measure: func(ctx context.Context, _ *lab) (float64, error) {
		return goBenchmark(ctx, "./internal/queue", "joins/s")
	},
}

// goBenchmark runs the benchmarks of a package and returns the best value that
// they report in a unit.
func goBenchmark(ctx context.Context, pkg, unit string) (float64, error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "Join", "-benchtime", "2s", pkg).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("running the benchmarks of %s: %w\n%s", pkg, err, out)
	}
	best := -1.0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		for i, field := range fields {
			if field != unit || i == 0 {
				continue
			}
			if value, err := strconv.ParseFloat(fields[i-1], 64); err == nil {
				best = max(best, value)
			}
		}
	}
	if best < 0 {
		return 0, fmt.Errorf("no benchmark of %s reports %s:\n%s", pkg, unit, out)
	}
	return best, nil
}
