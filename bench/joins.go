package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
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
