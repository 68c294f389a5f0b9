package redislock

import (
	"testing"

	"github.com/caddy-tickets/caddy-tickets/allocator/lockstest"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func TestLocks(t *testing.T) {
	server := devstack.Redis(t)
	lockstest.Run(t, func(t *testing.T) lockstest.Backend {
		rdb := server.Client()
		return lockstest.Backend{Locks: New(rdb), Check: checker{rdb}.check}
	})
}
