package room

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// What an operator says to a room acts on every edge with its next tick, and
// Redis remembers it, together with who said it. Each may be repeated; each fails with
// queue.ErrUnavailable while Redis is away.

// Give puts an order in force, writes it into the room's log in Redis, and says so in
// this edge's own: whoever could make the one anew cannot reach the others.
func (r *Room) Give(ctx context.Context, o queue.Order) (*queue.Record, error) {
	o.By.Edge = edgeName()
	record, err := r.queue.Give(ctx, o)
	if err != nil || record == nil {
		return nil, err
	}
	r.log.Info("an order is in force", "order", string(record.What), "before", record.Before, "after", record.After,
		"user", record.By.User, "host", record.By.Host, "address", record.By.Address, "edge", record.By.Edge,
		"reason", record.By.Reason, "entry", record.Number, "hash", record.Hash)
	return record, nil
}

// edgeName is this process as an operator finds it: its host and its number there.
var edgeName = sync.OnceValue(func() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
})

// Pause stops admission. Places, joins and passes stay as they are.
func (r *Room) Pause(ctx context.Context) error {
	return r.give(ctx, queue.Order{What: queue.WhatPause})
}

// Resume undoes Pause.
func (r *Room) Resume(ctx context.Context) error {
	return r.give(ctx, queue.Order{What: queue.WhatResume})
}

// SetMessage shows a text to everybody who waits; an empty one takes it away.
func (r *Room) SetMessage(ctx context.Context, text string) error {
	return r.give(ctx, queue.Order{What: queue.WhatMessage, Message: text})
}

// SetRate changes the admission rate until a config is loaded anywhere.
func (r *Room) SetRate(ctx context.Context, rate int, per time.Duration) error {
	return r.give(ctx, queue.Order{What: queue.WhatRate, Rate: rate, Per: per})
}

func (r *Room) give(ctx context.Context, o queue.Order) error {
	_, err := r.Give(ctx, o)
	return err
}
