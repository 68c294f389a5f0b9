package hub

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
)

// Park takes over a connection and keeps it until the fan leaves, its last line
// is written or the hub closes.
//
// The limits are looked at before hijack is called, so that on ErrFull,
// ErrTooMany and ErrDraining the caller still owns its response and can answer
// otherwise. hijack hands over the connection, best the raw *net.TCPConn or
// *tls.Conn: a wrapper that remembers requests is kept alive with them, 13 KB a
// fan. Once hijack has returned a connection, the hub owns it and closes it in
// every case. An error of hijack is returned as it is.
//
// head is written before the first line: the status line and headers, as Head
// makes them. The body that follows is delimited by the end of the connection.
// Park returns after the first line; it never waits for the client.
func (h *Hub) Park(hijack func() (net.Conn, error), head []byte, fan Fan) error {
	if err := h.admit(fan.Visitor, &h.parked, h.cfg.MaxParked); err != nil {
		return err
	}
	conn, err := hijack()
	if err != nil {
		h.release(fan.Visitor, &h.parked)
		return err
	}
	to, ok := park(conn)
	if !ok {
		return h.keepWithGoroutine(conn, head, fan)
	}
	b := h.bucketFor()
	b.mu.Lock()
	defer b.mu.Unlock()
	// Inside the lock, so that a front that passes now finds the fan either here
	// or not yet drawn: no turn is lost between the first line and the slot.
	line, shown, last := appendLine(slices.Clip(head), h.render.Picture(), fan)
	if err := to.send(line); err != nil || last {
		to.close()
		if err != nil {
			h.count(err)
		} else {
			h.lines.Add(1)
			h.finished.Add(1)
		}
		h.parked.Add(-1)
		if h.present.remove(fan.Visitor) && err != nil {
			h.noteGone(fan.Visitor)
		}
		return nil
	}
	h.lines.Add(1)
	fan.Shown = shown
	b.addLocked(fan, to)
	if h.draining.Load() { // the drain may have been here already
		b.eachLocked(nil, h.sayGoodbye)
	}
	return nil
}

// admit counts a connection in, or says why not.
func (h *Hub) admit(visitor [16]byte, kind interface{ Add(int64) int64 }, limit int) error {
	if h.draining.Load() {
		return ErrDraining
	}
	if kind.Add(1) > int64(limit) {
		kind.Add(-1)
		return ErrFull
	}
	if !h.present.add(visitor, h.cfg.MaxPerVisitor) {
		kind.Add(-1)
		return ErrTooMany
	}
	return nil
}

// release undoes admit.
func (h *Hub) release(visitor [16]byte, kind interface{ Add(int64) int64 }) (last bool) {
	kind.Add(-1)
	return h.present.remove(visitor)
}

func (h *Hub) bucketFor() *bucket { return &h.wheel[h.arrival.Add(1)%wheelSize] }

// park makes a sink of a connection whose socket can be asked whether it is
// writable. Plain sockets are written directly; anything that transforms bytes
// on the way, such as TLS, must be written through.
func park(conn net.Conn) (sink, bool) {
	raw, ok := rawConn(conn)
	if !ok {
		return nil, false
	}
	prepare(raw)
	switch c := conn.(type) {
	case *net.TCPConn:
		return tcpSink{c}, true
	case *net.UnixConn:
		return unixSink{c}, true
	case *tls.Conn:
		return tlsSink{c}, true
	}
	return &wrappedSink{conn}, true
}

// rawConn finds the socket under a connection.
func rawConn(conn net.Conn) (syscall.RawConn, bool) {
	const deepest = 8 // wrappers in wrappers; more is a loop
	for range deepest {
		if c, ok := conn.(syscall.Conn); ok {
			raw, err := c.SyscallConn()
			return raw, err == nil
		}
		inner, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil, false
		}
		conn = inner.NetConn()
	}
	return nil, false
}

// Head is the start of a parked response: HTTP/1.1 200 with the headers an
// event stream needs and those given. Line breaks in values become spaces.
func Head(extra http.Header) []byte {
	h := extra.Clone()
	if h == nil {
		h = make(http.Header)
	}
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("Connection", "close") // the body ends with the connection: no length, no chunks
	h.Set("X-Accel-Buffering", "no")
	h.Del("Content-Length")
	h.Del("Transfer-Encoding")
	h.Del("Content-Encoding")
	var out strings.Builder
	out.WriteString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(&out) // a strings.Builder does not fail; Write turns line breaks into spaces
	out.WriteString("\r\n")
	return []byte(out.String())
}
