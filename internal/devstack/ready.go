package devstack

import (
	"context"
	"fmt"
	"time"
)

// AwaitReady asks ready until it says yes. A server that ends meanwhile, or is
// not ready in time, is an error that carries the end of its log.
func (p *Process) AwaitReady(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("starting %s: it ended (%w); its log:\n%s", p.command.Program, endOf(p.err), p.Tail())
		case <-ctx.Done():
			p.Kill()
			return fmt.Errorf("waiting for %s: %w; its log:\n%s", p.command.Program, context.Cause(ctx), p.Tail())
		case <-tick.C:
		}
	}
	return nil
}

// endOf makes an error of a clean exit too: a server has no business to end.
func endOf(err error) error {
	if err == nil {
		return fmt.Errorf("exit status 0")
	}
	return err
}
