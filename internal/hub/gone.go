package hub

import "errors"

// errStuck is a connection that takes no more bytes.
var errStuck = errors.New("the connection takes no more bytes")

// count books a failed write.
func (h *Hub) count(err error) {
	if errors.Is(err, errStuck) {
		h.stuck.Add(1)
		return
	}
	h.left.Add(1)
}

// noteGone remembers that a visitor's last connection ended from its own side.
func (h *Hub) noteGone(visitor [16]byte) {
	if h.cfg.OnGone == nil || h.draining.Load() {
		return
	}
	h.goneMu.Lock()
	h.gone = append(h.gone, visitor)
	h.goneMu.Unlock()
}

// tellGone hands over who left since the last call, without those who are
// already back. No lock is held while OnGone runs.
func (h *Hub) tellGone() {
	h.goneMu.Lock()
	gone := h.gone
	h.gone = nil
	h.goneMu.Unlock()
	still := gone[:0]
	for _, v := range gone {
		if !h.present.has(v) {
			still = append(still, v)
		}
	}
	if len(still) > 0 {
		h.cfg.OnGone(still)
	}
}
