package room

import (
	"context"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// ordersSince is how many orders are looked through after a loss: what every edge of a
// large fleet puts back, and some of an operator.
const ordersSince = 200

// putBack is what an operator had ordered before Redis lost it.
type putBack struct {
	paused, open bool
	message      string
}

// stillDue leaves out what has been ordered since the loss. Every edge puts back what
// it knows as soon as its own fans are in their order again, some seconds apart; an
// operator who resumes the room in between must not find it paused again.
func (r *Room) stillDue(ctx context.Context, was putBack, lost uint32) (putBack, error) {
	if was == (putBack{}) {
		return was, nil
	}
	l, err := r.queue.Log(ctx, ordersSince)
	if err != nil {
		return was, err
	}
	records, _ := l.Check() // who changed the log is told by readOrders
	for _, record := range records {
		if record.At.Before(time.Unix(int64(lost), 0)) { // generations are named by the second they began in
			continue
		}
		switch record.What {
		case queue.WhatPause, queue.WhatResume:
			was.paused, was.open = false, false
		case queue.WhatMessage:
			was.message = ""
		}
	}
	return was, nil
}
