package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	bareFans   = 4000
	bareRounds = 10
	bareLine   = 350 // bytes, as a line that tells a position
)

// bareWrite is what the kernel alone takes for a line on this machine now: write(2)
// on as many sockets as there are fans, one after the other, with nothing around it.
// CPU time is no constant: it depends on what else the machine's cores are doing.
func bareWrite(ctx context.Context) (float64, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("listening: %w", err)
	}
	defer func() { _ = listener.Close() }()
	to, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("listening: %s is no address of TCP", listener.Addr())
	}
	var fans, edge []*end
	defer func() {
		for _, e := range append(fans, edge...) {
			_ = e.Close()
		}
	}()
	for number := range bareFans {
		fan, err := dialEnd(address(number), to, false)
		if err != nil {
			return 0, err
		}
		fans = append(fans, fan)
		taken, err := take(listener)
		if err != nil {
			return 0, err
		}
		edge = append(edge, taken)
	}
	line, buf := make([]byte, bareLine), make([]byte, 16<<10)
	var used time.Duration
	for range bareRounds {
		before := ownTime()
		for _, e := range edge {
			if _, err := e.Write(line); err != nil {
				return 0, fmt.Errorf("writing: %w", err)
			}
		}
		used += ownTime() - before
		for _, e := range fans {
			if _, err := e.drain(buf); err != nil {
				return 0, fmt.Errorf("reading: %w", err)
			}
		}
	}
	return float64(used.Microseconds()) / bareRounds / bareFans, ctx.Err()
}

// take accepts a connection and takes it away from the runtime's poller.
func take(listener net.Listener) (*end, error) {
	conn, err := listener.Accept()
	if err != nil {
		return nil, fmt.Errorf("accepting: %w", err)
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.TCPConn).SyscallConn() //nolint:errcheck,forcetypeassert // of a listener of TCP
	if err != nil {
		return nil, fmt.Errorf("accepting: %w", err)
	}
	e := &end{}
	failed := raw.Control(func(fd uintptr) {
		e.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	return e, errors.Join(failed, err)
}

// ownTime is the CPU time of this process so far.
func ownTime() time.Duration {
	var used unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &used) // fails for nobody who asks about themselves
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
