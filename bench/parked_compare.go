package main

import "context"

// compare prints what others cost beside those who are parked, and returns the cost of
// the plain server's.
func (l *lab) compare(ctx context.Context, secure bool, parked cost, out *report) (handlers cost, err error) {
	out.note("%-44s %6s %8s %8s", "how they wait", "fans", "KB/fan", "us/line")
	row := func(how string, fans int, c cost) {
		if secure {
			how += ", TLS"
		}
		out.note("%-44s %6d %8.2f %8.2f", how, fans, c.memory, c.line)
	}
	row("parked, HTTP/1.1", parkedFans, parked)
	if secure { // the only one that Go's own use of memory decides about
		tight, err := l.waiting(ctx, waiters{secure: true, how: byHTTP1, fans: parkedFans, env: []string{"GOGC=50"}})
		if err != nil {
			return cost{}, err
		}
		row("parked, HTTP/1.1, GOGC=50", parkedFans, tight)
	}
	if handlers, err = l.waiting(ctx, waiters{secure: secure, how: byHTTP1, handlers: true, fans: handlerFans}); err != nil {
		return cost{}, err
	}
	row("goroutine, HTTP/1.1, plain Go server", handlerFans, handlers)
	streams, err := l.waiting(ctx, waiters{secure: secure, how: byHTTP2, fans: handlerFans})
	if err != nil {
		return cost{}, err
	}
	row("goroutine, HTTP/2, the edge", handlerFans, streams)
	return handlers, nil
}
