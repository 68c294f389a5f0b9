//go:build unix

package hub

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// sendBuffer is asked for each parked socket. Linux doubles it: some 50 lines,
// four minutes of a client that does not read, and 16 KB of kernel memory at
// most instead of the 4 MB that autotuning allows.
const sendBuffer = 8 << 10

// prepare sets what may be set; a socket that refuses works without.
func prepare(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
		setUserTimeout(int(fd))
	})
}

// ready is nil if the socket takes bytes now, errStuck if its buffer is full, and
// io.EOF if the client has gone. A client has nothing to say after its request:
// bytes that arrive now are a TLS close_notify or a misuse, and end it too.
func ready(raw syscall.RawConn) (err error) {
	failed := raw.Control(func(fd uintptr) { err = poll(int(fd)) })
	if failed != nil {
		return failed
	}
	return err
}

// writeNow writes a whole line without waiting. A partial write cannot be made
// good later without keeping the rest, so it drops the fan, who reconnects.
func writeNow(raw syscall.RawConn, line []byte) (err error) {
	failed := raw.Write(func(fd uintptr) bool {
		if err = poll(int(fd)); err != nil {
			return true
		}
		n, failed := unix.Write(int(fd), line)
		switch {
		case failed == unix.EAGAIN || (failed == nil && n < len(line)):
			err = errStuck
		case failed != nil:
			err = failed
		}
		return true // never ask the runtime to wait
	})
	if failed != nil {
		return failed
	}
	return err
}

func poll(fd int) error {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT}}
	for {
		_, err := unix.Poll(fds[:], 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	switch got := fds[0].Revents; {
	case got&(unix.POLLIN|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
		return io.EOF
	case got&unix.POLLOUT == 0:
		return errStuck
	}
	return nil
}
