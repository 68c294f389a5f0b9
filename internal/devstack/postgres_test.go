package devstack_test

import (
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func ask(t *testing.T, dsn, sql string) string {
	t.Helper()
	out, err := devstack.Query(t.Context(), dsn, sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryDatabaseIsFreshAndItsOwn(t *testing.T) {
	t.Parallel()
	server := devstack.Postgres(t)
	one, two := server.DSN(), server.DSN()
	ask(t, one, "CREATE TABLE seats (id int)")
	if got := ask(t, two, "SELECT count(*) FROM pg_tables WHERE tablename = 'seats'"); got != "0" {
		t.Fatalf("a table of one database shows up in another: %s", got)
	}
}

func TestTestsOfOneProcessShareOneServer(t *testing.T) {
	t.Parallel()
	if one, two := devstack.Postgres(t).PID(), devstack.Postgres(t).PID(); one != two || one == 0 {
		t.Fatalf("two servers run: %d and %d", one, two)
	}
}

func TestAKilledPostgresKeepsWhatWasCommitted(t *testing.T) {
	t.Parallel()
	server := devstack.OwnPostgres(t)
	dsn := server.DSN()
	ask(t, dsn, "CREATE TABLE seats (id int); INSERT INTO seats VALUES (7)")
	server.Kill()
	if _, err := devstack.Query(t.Context(), dsn, "SELECT 1"); err == nil {
		t.Fatal("a killed server answered")
	}
	server.Start()
	if got := ask(t, dsn, "SELECT id FROM seats"); got != "7" {
		t.Fatalf("after the restart: %q, want 7", got)
	}
}

// With clients that never stop trying, a session is born at every moment. One that
// outlived its server would keep the next from starting on the same data.
func TestAPostgresKilledAmongClientsStartsAgain(t *testing.T) {
	t.Parallel()
	server := devstack.OwnPostgres(t)
	address, err := url.Parse(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(address.Query().Get("host"), ".s.PGSQL.5432")
	var clients sync.WaitGroup
	t.Cleanup(clients.Wait) // after the context has ended
	for range 4 {
		clients.Go(func() {
			for t.Context().Err() == nil {
				if conn, err := net.Dial("unix", socket); err == nil {
					_ = conn.Close()
				}
			}
		})
	}
	for range 5 {
		server.Kill()
		server.Start()
	}
}

func TestPostgresNeverRunsAsRoot(t *testing.T) {
	t.Parallel()
	server := devstack.Postgres(t)
	if uid := uidOf(t, server.PID()); uid == "0" {
		t.Fatal("PostgreSQL runs as root")
	}
}
