//go:build !unix

package hub

import (
	"errors"
	"syscall"
)

// Where sockets cannot be asked, nothing is parked: rawConn's answer is not used
// and each connection keeps a goroutine.
var errNoPolling = errors.New("sockets cannot be polled here")

func prepare(syscall.RawConn) {}

func ready(syscall.RawConn) error { return errNoPolling }

func writeNow(syscall.RawConn, []byte) error { return errNoPolling }
