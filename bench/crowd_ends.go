package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// end is a fan's end of a connection, without the runtime's poller: whoever writes
// to a socket pays for waking its reader, and on one machine that would be the
// edge. So nobody waits for these: they are emptied by the clock.
//
// While it is a net.Conn it reads no further than the TLS record that it is in, so
// that what comes after is found at its beginning by drain.
type end struct {
	fd     int
	framed bool // TLS
	reading
}

// reading is where in the stream an end is.
type reading struct {
	column int // plain text: bytes of the line that matched so far, -1 if one did not
	header int // TLS: bytes of the record's header that have been read
	length int // TLS: its length, as far as known
	left   int // TLS: bytes of it that are still to come
}

// endTimeout bounds a read or write of a fan who arrives.
const endTimeout = 20

func dialEnd(source net.IP, to *net.TCPAddr, framed bool) (*end, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	e := &end{fd: fd, framed: framed}
	bound := unix.Timeval{Sec: endTimeout}
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &bound),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &bound),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte(source.To4())}),
		connect(fd, to),
	)
	if err != nil {
		_ = e.Close()
		return nil, fmt.Errorf("connecting from %s: %w", source, err)
	}
	return e, nil
}

// connect goes on where a signal has interrupted it.
func connect(fd int, to *net.TCPAddr) error {
	for {
		err := unix.Connect(fd, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())})
		switch err {
		case unix.EINTR, unix.EALREADY:
		case unix.EISCONN:
			return nil
		default:
			return err
		}
	}
}

// Read implements net.Conn.
func (e *end) Read(p []byte) (int, error) {
	if e.framed {
		p = p[:min(len(p), e.recordLeft())]
	}
	n, err := e.receive(p, 0)
	if e.framed {
		e.records(p[:n])
	}
	return n, err
}

func (e *end) receive(p []byte, flags int) (int, error) {
	for {
		n, _, err := unix.Recvfrom(e.fd, p, flags)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// drain reads what has come without waiting, and counts the lines that begin in it.
func (e *end) drain(buf []byte) (lines int, err error) {
	for {
		n, err := e.receive(buf, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		if e.framed {
			lines += e.records(buf[:n])
		} else {
			lines += e.positions(buf[:n])
		}
		if n < len(buf) {
			return lines, nil
		}
	}
}

// recordHeader is type, version and length of a TLS record.
const recordHeader = 5

// recordLeft is how much may be read without beginning another record.
func (r *reading) recordLeft() int {
	if r.left > 0 {
		return r.left
	}
	return recordHeader - r.header
}

// records counts those that begin in p. Of a parked stream each is a line.
func (r *reading) records(p []byte) (count int) {
	for len(p) > 0 {
		if r.left > 0 {
			n := min(r.left, len(p))
			r.left, p = r.left-n, p[n:]
			continue
		}
		r.header++
		if r.header > recordHeader-2 {
			r.length = r.length<<8 | int(p[0])
		}
		if p = p[1:]; r.header == recordHeader {
			r.left, r.header, r.length = r.length, 0, 0
			count++
		}
	}
	return count
}

// position is how the line of a fan begins, whatever else came before it.
const position = "event: position\n"

// positions counts the lines that a fan was sent.
func (r *reading) positions(p []byte) (count int) {
	for _, c := range p {
		switch {
		case c == '\n' && r.column != len(position)-1:
			r.column = 0
		case r.column < 0: // the rest of a line that is another
		case c != position[r.column]:
			r.column = -1
		case c == '\n':
			r.column = 0
			count++
		default:
			r.column++
		}
	}
	return count
}

// Write implements net.Conn.
func (e *end) Write(p []byte) (written int, err error) {
	for written < len(p) {
		n, err := unix.Write(e.fd, p[written:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// Close implements net.Conn.
func (e *end) Close() error { return unix.Close(e.fd) }

// The rest of net.Conn is of no use here.
func (e *end) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (e *end) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (e *end) SetDeadline(time.Time) error      { return nil }
func (e *end) SetReadDeadline(time.Time) error  { return nil }
func (e *end) SetWriteDeadline(time.Time) error { return nil }

var _ net.Conn = (*end)(nil)
