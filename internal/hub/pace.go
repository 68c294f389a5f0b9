package hub

import (
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// minStep keeps a short pace from becoming a busy loop.
const minStep = 5 * time.Millisecond

func (h *Hub) step() time.Duration {
	return max(time.Duration(h.pace.Load())/wheelSize, minStep)
}

// loop turns the wheel. It goes by the time that passed, not by the ticks it
// got, so a busy machine makes the lines later but never fewer fans.
func (h *Hub) loop(ticker clock.Ticker, began time.Time) {
	defer close(h.stopped)
	defer func() { ticker.Stop() }()
	w := writer{hub: h}
	turned, at := began, 0
	for {
		select {
		case <-h.stop:
			h.tellGone()
			return
		case <-h.repace:
			ticker.Stop()
			ticker = h.cfg.Clock.NewTicker(h.step())
			turned = h.cfg.Clock.Now()
		case <-h.urgent:
			w.urgent()
		case <-ticker.C():
			step := h.step()
			due := int(h.cfg.Clock.Now().Sub(turned) / step)
			turned = turned.Add(time.Duration(due) * step)
			pic := h.render.Picture()
			for range min(due, wheelSize) {
				w.visit(&h.wheel[at], pic, nil)
				at = (at + 1) % wheelSize
			}
		}
		h.tellGone()
	}
}

// writer is the loop's own state: one buffer for all lines.
type writer struct {
	hub *Hub
	buf []byte
}

// urgent writes to those whose turn has come, or to everybody.
func (w *writer) urgent() {
	passed, everybody := w.hub.passed.Swap(nil), w.hub.everybody.Swap(false)
	var due func(uint64) bool
	switch {
	case everybody:
	case passed != nil:
		due = *passed
	default:
		return
	}
	pic := w.hub.render.Picture()
	for i := range w.hub.wheel {
		w.visit(&w.hub.wheel[i], pic, due)
	}
}

// visit gives every fan of a bucket that is due a line.
func (w *writer) visit(b *bucket, pic Picture, due func(score uint64) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.eachLocked(due, func(fan Fan, s *slot) bool {
		if stream, ok := s.to.(*stream); ok {
			stream.wake() // it renders for itself
			return true
		}
		return w.hub.push(&w.buf, pic, fan, s)
	})
}

// push writes one line to a parked connection and settles what came of it.
func (h *Hub) push(buf *[]byte, pic Picture, fan Fan, s *slot) (keep bool) {
	line, shown, last := appendLine((*buf)[:0], pic, fan)
	*buf = line
	err := s.to.send(line)
	if err == nil {
		h.lines.Add(1)
		s.shown = shown
		if !last {
			return true
		}
		h.finished.Add(1)
	} else {
		h.count(err)
	}
	s.to.close()
	h.parked.Add(-1)
	if h.present.remove(fan.Visitor) && err != nil {
		h.noteGone(fan.Visitor)
	}
	return false
}
