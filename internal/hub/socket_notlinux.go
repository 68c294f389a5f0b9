//go:build unix && !linux

package hub

// setUserTimeout needs TCP_USER_TIMEOUT, which only Linux has.
func setUserTimeout(int) {}
