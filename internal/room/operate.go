package room

import (
	"context"
	"time"
)

// What an operator says to a room acts on every edge with its next tick, and
// Redis remembers it. Each may be repeated; each fails with queue.ErrUnavailable
// while Redis is away, and nothing has changed then.

// Pause stops admission. Places, joins and passes stay as they are.
func (r *Room) Pause(ctx context.Context) error { return r.queue.Pause(ctx) }

// Resume undoes Pause.
func (r *Room) Resume(ctx context.Context) error { return r.queue.Resume(ctx) }

// SetMessage shows a text to everybody who waits; an empty one takes it away.
func (r *Room) SetMessage(ctx context.Context, text string) error {
	return r.queue.SetMessage(ctx, text)
}

// SetRate changes the admission rate until a config is loaded anywhere.
func (r *Room) SetRate(ctx context.Context, rate int, per time.Duration) error {
	return r.queue.SetRate(ctx, rate, per)
}
