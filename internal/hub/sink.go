package hub

import (
	"crypto/tls"
	"net"
	"time"
)

// A write to a connection that transforms bytes could not be made non-blocking. Its
// socket was found writable just before, so only a line that is longer than the free
// part of its buffer waits, a third of it at least: see sendBuffer.
const (
	fits = 2 << 10
	// writeWait bounds a write that may have to wait.
	writeWait = 50 * time.Millisecond
	// busyWait bounds one that has not. It is long because a deadline also runs
	// while the machine does something else between setting it and writing, as it does
	// when most fans come: 50 ms of that dropped fans who had done nothing wrong.
	busyWait = 2 * time.Second
)

// The sinks of plain sockets are one pointer wide, so a slot holds them without
// a further allocation.
type (
	tcpSink     struct{ conn *net.TCPConn }
	unixSink    struct{ conn *net.UnixConn }
	tlsSink     struct{ conn *tls.Conn }
	wrappedSink struct{ conn net.Conn }
)

func (s tcpSink) send(line []byte) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	return writeNow(raw, line)
}

func (s unixSink) send(line []byte) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	return writeNow(raw, line)
}

func (s tlsSink) send(line []byte) error      { return writeThrough(s.conn, line) }
func (s *wrappedSink) send(line []byte) error { return writeThrough(s.conn, line) }

// Closing fails only for a connection that is closed already.
func (s tcpSink) close()      { _ = s.conn.Close() }
func (s unixSink) close()     { _ = s.conn.Close() }
func (s *wrappedSink) close() { _ = s.conn.Close() }

// close ends TLS with a bounded close_notify; tls.Conn.Close alone waits 5 s for
// a client that does not read.
func (s tlsSink) close() {
	if raw, ok := rawConn(s.conn); ok && ready(raw) == nil {
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeWait))
		_ = s.conn.CloseWrite()
	}
	_ = s.conn.NetConn().Close()
}

// writeThrough writes to a connection that transforms what it is given. Its
// socket is asked first, so that a client that does not read costs no wait.
func writeThrough(conn net.Conn, line []byte) error {
	raw, ok := rawConn(conn)
	if !ok {
		return net.ErrClosed
	}
	if err := ready(raw); err != nil {
		return err
	}
	wait := busyWait
	if len(line) > fits {
		wait = writeWait
	}
	// A deadline is the kernel's business, so it goes by the machine's clock.
	if err := conn.SetWriteDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	_, err := conn.Write(line)
	return err
}
