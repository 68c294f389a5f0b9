package hub

import (
	"context"
	"strconv"
	"time"
)

// DefaultSpread is the time over which a drain spreads the fans' return: at
// 100,000 fans it is 6,700 reconnections a second for the other edges.
const DefaultSpread = 15 * time.Second

// leastRetry keeps a page from reconnecting to a server that is still closing.
const leastRetry = 500 * time.Millisecond

// Close refuses new fans, gives every fan a reconnection time drawn from spread
// and ends their connections, then stops the loop. It waits for goroutine
// streams until ctx ends. Nobody is reported gone: they are asked to come back.
func (h *Hub) Close(ctx context.Context, spread time.Duration) error {
	h.spread.Store(int64(spread))
	h.draining.Store(true)
	for i := range h.wheel {
		b := &h.wheel[i]
		b.mu.Lock()
		b.eachLocked(nil, h.sayGoodbye)
		b.mu.Unlock()
	}
	h.stopOnce.Do(func() { close(h.stop) })
	h.startOnce.Do(func() { close(h.stopped) }) // never started
	select {
	case <-h.stopped:
	case <-ctx.Done():
		return ctx.Err()
	}
	return h.awaitStreams(ctx)
}

// awaitStreams looks often and briefly: streams end within one write.
func (h *Hub) awaitStreams(ctx context.Context) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for h.streams.Load() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// sayGoodbye ends one connection. Streams stay in their slot until their
// goroutine has written its own goodbye.
func (h *Hub) sayGoodbye(fan Fan, s *slot) (keep bool) {
	if stream, ok := s.to.(*stream); ok {
		stream.wake()
		return true
	}
	_ = s.to.send(h.appendGoodbye(nil)) // one who cannot be told reconnects by the browser's own default
	s.to.close()
	h.release(fan.Visitor, &h.parked)
	return false
}

func (h *Hub) appendGoodbye(buf []byte) []byte {
	wait := leastRetry + jitter(time.Duration(h.spread.Load()))
	buf = append(buf, "retry: "...)
	buf = strconv.AppendInt(buf, wait.Milliseconds(), 10)
	return append(buf, "\n\n"...)
}
