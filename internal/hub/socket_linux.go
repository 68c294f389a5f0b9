package hub

import "golang.org/x/sys/unix"

// userTimeoutMillis is how long sent bytes may stay unacknowledged. A phone that
// lost its network says nothing; without this its fan would be kept for a
// quarter of an hour of retransmissions.
const userTimeoutMillis = 30_000

func setUserTimeout(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, userTimeoutMillis)
}
