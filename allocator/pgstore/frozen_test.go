package pgstore_test

import (
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/storetest"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// patience is more than any call below may take: the wait for a connection, and
// what a statement may take.
const patience = 15 * time.Second

// A server behind a network that drops packets refuses nothing: it says nothing.
func TestACallToASilentServerEndsInTime(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted sync.WaitGroup
	accepted.Go(func() {
		var open []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			open = append(open, conn)
		}
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	t.Cleanup(accepted.Wait)
	t.Cleanup(func() { _ = listener.Close() })

	store := opened(t, "postgres://tickets:"+"hunter2"+"@"+listener.Addr().String()+"/tickets", pgstore.Options{})
	begun := time.Now()
	if _, err = store.Events(t.Context()); !errors.Is(err, allocator.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if took := time.Since(begun); took > patience {
		t.Errorf("it took %v", took)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error has the password in it: %v", err)
	}
}

// A server that hangs in the middle is beyond its own timeouts.
func TestACallToAFrozenServerEndsInTimeAndItsStoreRecovers(t *testing.T) {
	t.Parallel()
	const callers = 6
	server := devstack.OwnPostgres(t)
	store, address := migrated(t, server, pgstore.Options{MaxConns: 2, StatementTimeout: 500 * time.Millisecond})
	h := storetest.Build(t, store, callers+1)
	if err := store.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var sessions []int
	err := session(t, address).QueryRow(t.Context(), `SELECT array_agg(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&sessions)
	if err != nil {
		t.Fatal(err)
	}
	signal := func(sig syscall.Signal) {
		for _, pid := range append(sessions, server.PID()) {
			if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				t.Error(err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() { signal(syscall.SIGCONT) }) // also after a failure: a stopped server hears no other signal
	begun := time.Now()
	var waiting sync.WaitGroup
	for i := range callers {
		waiting.Go(func() {
			if err := store.Claim(t.Context(), h.Booking(i)); !errors.Is(err, allocator.ErrUnavailable) {
				t.Errorf("a frozen server: got %v, want ErrUnavailable", err)
			}
		})
	}
	waiting.Wait()
	if took := time.Since(begun); took > patience {
		t.Errorf("%d calls took %v", callers, took)
	}
	signal(syscall.SIGCONT)
	await(t, "the store recovers by itself", func() bool { return store.Claim(t.Context(), h.Booking(callers)) == nil })
}
