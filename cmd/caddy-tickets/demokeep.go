package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

const (
	demoReadyWithin = time.Minute
	// restartAfter is the pause before a program that died is started again. It
	// doubles up to restartMost while it keeps dying, and is short again for one that
	// has lived for livedFor.
	restartAfter = 200 * time.Millisecond
	restartMost  = 5 * time.Second
	livedFor     = 10 * time.Second
)

// keep runs a program until ctx ends, and starts it again when it dies before.
func (d *demo) keep(ctx context.Context, name string, c devstack.Command) (pid int, err error) {
	c.Log = filepath.Join(d.places.Logs, name+".log")
	p, err := devstack.Start(c)
	if err != nil {
		return 0, fmt.Errorf("starting the %s: %w", name, err)
	}
	pid = p.PID()
	d.running.Go(func() {
		pause, begun := restartAfter, time.Now()
		for p != nil {
			select {
			case <-ctx.Done():
				p.Stop(syscall.SIGTERM)
				return
			case <-p.Done():
			}
			if time.Since(begun) > livedFor {
				pause = restartAfter
			}
			fmt.Fprintf(d.said, "The %s died (%s) and is started again; its log is %s.\n", name, end(p.Err()), c.Log)
			p, pause = d.again(ctx, name, c, pause)
			begun = time.Now()
		}
	})
	return pid, nil
}

// again starts a program after a pause, as often as it takes. It returns nil when
// ctx ends, and the pause before the next time.
func (d *demo) again(ctx context.Context, name string, c devstack.Command, pause time.Duration) (*devstack.Process, time.Duration) {
	for {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, pause
		case <-timer.C:
		}
		pause = min(2*pause, restartMost)
		p, err := devstack.Start(c)
		if err == nil {
			return p, pause
		}
		fmt.Fprintf(d.said, "The %s could not be started: %v\n", name, err)
	}
}

// end says how a program ended.
func end(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// answers waits until an address answers well.
func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, demoReadyWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last := "no answer"
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return fmt.Errorf("asking %s: %w", address, err)
		}
		if reply, err := http.DefaultClient.Do(request); err == nil {
			_ = reply.Body.Close()
			if reply.StatusCode < http.StatusMultipleChoices {
				return nil
			}
			last = reply.Status
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer within %s: %s", address, demoReadyWithin, last)
		}
	}
}
