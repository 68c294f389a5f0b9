package hub

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// streamWait bounds one write of a goroutine stream. It may wait: nobody else is
// behind it.
const streamWait = 10 * time.Second

// StreamWriter is where a goroutine stream writes.
type StreamWriter interface {
	io.Writer
	Flush() error
	SetWriteDeadline(t time.Time) error
}

// ResponseStream makes a StreamWriter of a response. Headers are the caller's.
func ResponseStream(w http.ResponseWriter) StreamWriter {
	return responseStream{w, http.NewResponseController(w)}
}

type responseStream struct {
	io.Writer
	*http.ResponseController
}

// stream is the slot of a goroutine stream.
type stream struct {
	woken chan struct{}
	score atomic.Uint64
}

func (s *stream) wake() { signal(s.woken) }

func (s *stream) send([]byte) error { s.wake(); return nil }

func (s *stream) close() { s.wake() }

// Stream keeps a connection that cannot be taken over, in the caller's
// goroutine: it returns when the fan leaves (nil), the last line is written
// (nil), the hub drains (nil), or at once with ErrFull, ErrTooMany or
// ErrDraining, before anything is written.
func (h *Hub) Stream(ctx context.Context, w StreamWriter, fan Fan) error {
	if err := h.admit(fan.Visitor, &h.streams, h.cfg.MaxStreams); err != nil {
		return err
	}
	h.run(ctx, w, nil, fan)
	return nil
}

// keepWithGoroutine serves a hijacked connection whose socket is out of reach.
func (h *Hub) keepWithGoroutine(conn net.Conn, head []byte, fan Fan) error {
	h.parked.Add(-1)
	if h.streams.Add(1) > int64(h.cfg.MaxStreams) {
		h.release(fan.Visitor, &h.streams)
		_ = conn.Close() // too late to answer otherwise; the page polls when its stream ends
		return nil
	}
	go func() {
		defer func() { _ = conn.Close() }()
		h.run(context.Background(), connStream{conn}, head, fan)
	}()
	return nil
}

type connStream struct{ net.Conn }

func (connStream) Flush() error { return nil }

// run writes a line whenever the loop wakes it. The pace is the loop's, so both
// kinds of connection are due at the same times.
func (h *Hub) run(ctx context.Context, w StreamWriter, head []byte, fan Fan) {
	s := &stream{woken: make(chan struct{}, 1)}
	s.score.Store(fan.Score)
	b := h.bucketFor()
	b.mu.Lock()
	b.addLocked(fan, s)
	b.mu.Unlock()
	gone := h.write(ctx, w, s, head, fan)
	b.remove(s)
	if h.release(fan.Visitor, &h.streams) && gone {
		h.noteGone(fan.Visitor)
	}
}

// write reports whether it ended because the fan has gone.
func (h *Hub) write(ctx context.Context, w StreamWriter, s *stream, head []byte, fan Fan) (gone bool) {
	buf := head
	for {
		fan.Score = s.score.Load()
		line, shown, last := appendLine(buf, h.render.Picture(), fan)
		if h.draining.Load() {
			line, last = h.appendGoodbye(buf), true
		}
		fan.Shown = shown
		buf = line[:0]
		if err := writeStream(w, line); err != nil {
			h.left.Add(1)
			return true
		}
		h.lines.Add(1)
		if last {
			h.finished.Add(1)
			return false
		}
		select {
		case <-ctx.Done():
			h.left.Add(1)
			return true
		case <-s.woken:
		}
	}
}

func writeStream(w StreamWriter, line []byte) error {
	// A writer without deadlines (a test recorder) is bounded by its context.
	_ = w.SetWriteDeadline(time.Now().Add(streamWait))
	if _, err := w.Write(line); err != nil {
		return err
	}
	return w.Flush()
}
