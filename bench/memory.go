package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/rehearse"
)

// parkedFans wait at the same time. Enough that the edge's own 60 MB do not
// blur the difference, few enough that joining them takes seconds.
const parkedFans = 2000

// parkedMemory is what one fan costs who waits on a parked HTTP/1.1 connection:
// the connection itself and its entry in the hub, no goroutine.
var parkedMemory = figure{
	name: "parked-stream-rss", unit: "KB/fan", target: 8, atMost: true,
	measure: func(ctx context.Context, l *lab) (float64, error) { return l.streamMemory(ctx, openParked) },
}

// opener opens one waiting stream of an edge and keeps it open until ctx ends. It
// calls heard when the first event has come.
type opener func(ctx context.Context, site string, number int, heard func()) error

// streamMemory is the growth of the edge's memory by each fan who waits.
func (l *lab) streamMemory(ctx context.Context, open opener) (float64, error) {
	site, err := l.backend()
	if err != nil {
		return 0, err
	}
	edge, err := l.guardedEdge(ctx, edgeOptions{site: site, admit: "1/h"})
	if err != nil {
		return 0, err
	}
	// The first fans pay for what all share: code, caches, connection pools.
	warm, cancelWarm, err := openMany(ctx, open, edge.url, 0, 100)
	defer cancelWarm()
	if err != nil {
		return 0, err
	}
	before, err := settled(ctx, edge.process.PID())
	if err != nil {
		return 0, err
	}
	streams, cancelStreams, err := openMany(ctx, open, edge.url, warm, parkedFans)
	defer cancelStreams()
	if err != nil {
		return 0, err
	}
	after, err := settled(ctx, edge.process.PID())
	if err != nil {
		return 0, err
	}
	return (after - before) / 1024 / float64(streams), nil
}

// openMany opens streams, 16 at a time, and returns when each has been heard.
func openMany(ctx context.Context, open opener, site string, first, n int) (int, context.CancelFunc, error) {
	ctx, stop := context.WithCancel(ctx)
	var (
		opened  sync.WaitGroup
		running sync.WaitGroup
		failed  atomic.Pointer[error]
		slots   = make(chan struct{}, 16)
	)
	for i := range n {
		slots <- struct{}{}
		opened.Add(1)
		running.Go(func() {
			once := sync.OnceFunc(func() { <-slots; opened.Done() })
			defer once()
			if err := open(ctx, site, first+i, once); err != nil && ctx.Err() == nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	opened.Wait()
	cancel := func() { stop(); running.Wait() }
	if err := failed.Load(); err != nil {
		return n, cancel, fmt.Errorf("opening streams: %w", *err)
	}
	return n, cancel, nil
}

func openParked(ctx context.Context, site string, number int, heard func()) error {
	fan, err := enter(ctx, site, number)
	if err != nil {
		return err
	}
	defer fan.Close()
	_, err = fan.Stream(ctx, "/.waitroom/"+benchRoom+"/stream", "", func(rehearse.Event) bool { heard(); return true })
	if err == nil && ctx.Err() == nil {
		err = errors.New("a stream ended")
	}
	return err
}

// settled reads the memory until it has stopped falling: the collector returns
// what joining used only after a while.
func settled(ctx context.Context, pid int) (float64, error) {
	lowest, err := residentBytes(pid)
	if err != nil {
		return 0, err
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for range 8 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		now, err := residentBytes(pid)
		if err != nil {
			return 0, err
		}
		lowest = min(lowest, now)
	}
	return lowest, nil
}
