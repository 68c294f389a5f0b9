package devstack

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// RedisServer is a private Redis of one test. PID, URL, Kill, Pause and Resume
// are those of RedisDaemon.
type RedisServer struct {
	*RedisDaemon
	tb     testing.TB
	client *redis.Client
}

// Redis starts a private, empty redis-server that is stopped when the test ends.
// A missing redis-server fails the test: nothing skips silently.
func Redis(tb testing.TB) *RedisServer {
	tb.Helper()
	daemon, err := StartRedis(tb.Context(), RedisOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	s := &RedisServer{RedisDaemon: daemon, tb: tb}
	options, err := redis.ParseURL(daemon.URL())
	if err != nil {
		tb.Fatal(err)
	}
	s.client = redis.NewClient(options)
	tb.Cleanup(func() {
		_ = s.client.Close()
		if tb.Failed() {
			tb.Logf("redis-server's log:\n%s", daemon.Log())
		}
		if err := daemon.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// Client is a client of the server, closed with it.
func (s *RedisServer) Client() *redis.Client { return s.client }

// Start starts the server again after Kill: the same socket, no data.
func (s *RedisServer) Start() {
	s.tb.Helper()
	if err := s.RedisDaemon.Start(s.tb.Context()); err != nil {
		s.tb.Fatal(err)
	}
}
