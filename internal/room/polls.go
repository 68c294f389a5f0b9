package room

import (
	"sync/atomic"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// polls is when everybody who polls here will have asked again. After a loss these
// fans are the last to bring their places back, and nobody may be admitted past them
// before: with the absent gone from the queue, the front moves through it faster than
// it was when they were told how long to wait.
type polls struct{ due atomic.Int64 } // Unix milliseconds of this machine

// pollGrace is for the way; the page itself waits up to half as long again as it is told.
const pollGrace = time.Second

func (p *polls) note(now time.Time, after time.Duration) {
	for due := now.Add(after + after/2 + pollGrace).UnixMilli(); ; {
		old := p.due.Load()
		if due <= old || p.due.CompareAndSwap(old, due) {
			return
		}
	}
}

// left is how long it takes until then.
func (p *polls) left(now time.Time) time.Duration {
	return max(0, time.UnixMilli(p.due.Load()).Sub(now))
}

// Seen notes that a fan without a stream is still there. Call it with every status.
func (r *Room) Seen(tok place.Token) {
	r.back(tok)
	if v := r.View(); tok.Placed() && !v.Passed(tok.Score) {
		r.polls.note(r.deps.Clock.Now(), v.PollAfter(tok.Score))
	}
}
