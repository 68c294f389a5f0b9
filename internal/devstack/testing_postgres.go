package devstack

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// PostgresServer is a private PostgreSQL as one test sees it. PID and Kill are
// those of PostgresDaemon.
type PostgresServer struct {
	*PostgresDaemon
	tb testing.TB
}

// shared is the one server of this test process. Making a data folder takes
// seconds and a database on a running server 50 ms, so tests share the server and
// get a database each. It is never stopped by a test: the kernel ends it with the
// process, and the next process removes its folder.
var shared struct {
	mu     sync.Mutex
	daemon *PostgresDaemon // guarded by mu
}

// databases numbers the databases of this process.
var databases atomic.Int64

// Postgres returns the PostgreSQL server that all tests of this process share. A
// missing PostgreSQL fails the test: nothing skips silently. A test that kills
// the server must not run in parallel with others; better use OwnPostgres.
func Postgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.daemon == nil {
		// Not the test's context: the server outlives the test.
		daemon, err := StartPostgres(context.Background(), PostgresOptions{})
		if err != nil {
			tb.Fatal(err)
		}
		shared.daemon = daemon
	}
	return watched(tb, shared.daemon)
}

// OwnPostgres starts a PostgreSQL server for this test alone, to be killed and
// started at will, and stops it when the test ends.
func OwnPostgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	daemon, err := StartPostgres(tb.Context(), PostgresOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := daemon.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return watched(tb, daemon)
}

func watched(tb testing.TB, daemon *PostgresDaemon) *PostgresServer {
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the end of PostgreSQL's log:\n%s", daemon.Log())
		}
	})
	return &PostgresServer{PostgresDaemon: daemon, tb: tb}
}

// DSN makes a fresh, empty database that is dropped when the test ends, and
// returns how to connect to it.
func (s *PostgresServer) DSN() string {
	s.tb.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	if err := s.CreateDatabase(s.tb.Context(), name); err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() {
		if s.PID() == 0 {
			return // killed by the test: its databases go with its folder
		}
		if err := s.DropDatabase(context.Background(), name); err != nil {
			s.tb.Error(err)
		}
	})
	return s.PostgresDaemon.DSN(name)
}

// Start starts the server again after Kill, with the data it had.
func (s *PostgresServer) Start() {
	s.tb.Helper()
	if err := s.PostgresDaemon.Start(s.tb.Context()); err != nil {
		s.tb.Fatal(err)
	}
}
