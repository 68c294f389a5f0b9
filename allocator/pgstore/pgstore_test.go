package pgstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/storetest"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		t.Helper()
		store, _ := migrated(t, devstack.Postgres(t), pgstore.Options{})
		return store
	})
}

// migrated makes a migrated database and a store on it.
func migrated(t testing.TB, server *devstack.PostgresServer, o pgstore.Options) (store *pgstore.Store, address string) {
	t.Helper()
	address = server.DSN()
	if err := migrations.Up(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	return opened(t, address, o), address
}

func opened(t testing.TB, address string, o pgstore.Options) *pgstore.Store {
	t.Helper()
	if o.MaxConns == 0 {
		o.MaxConns = 8 // a server of the tests takes 200 in all
	}
	store, err := pgstore.Open(address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// session is a connection of the test's own, to do by hand what no method does.
func session(t testing.TB, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// await polls until done, for what happens in the server.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestNoErrorContainsThePassword(t *testing.T) {
	t.Parallel()
	const secret = "hunter"
	if _, err := pgstore.Open("postgres://tickets:12/"+secret+"@db/tickets", pgstore.Options{}); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("opening says %v", err)
	}
	store := opened(t, "postgres://tickets:"+secret+"@127.0.0.1:1/tickets", pgstore.Options{})
	for what, err := range map[string]error{
		"ready": store.Ready(t.Context()),
		"claim": store.Claim(t.Context(), &allocator.Booking{Cells: []string{"A-1"}}),
	} {
		if !errors.Is(err, allocator.ErrUnavailable) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s says %v", what, err)
		}
	}
}

func TestADatabaseWithoutMigrationsIsNotReady(t *testing.T) {
	t.Parallel()
	address := devstack.Postgres(t).DSN()
	store := opened(t, address, pgstore.Options{})
	_, find := store.Event(t.Context(), "hall")
	for what, err := range map[string]error{"ready": store.Ready(t.Context()), "event": find} {
		if !errors.Is(err, allocator.ErrUnavailable) || !strings.Contains(err.Error(), "migrate up") {
			t.Errorf("%s says %v", what, err)
		}
	}
	if err := migrations.Up(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if err := store.Ready(t.Context()); err != nil {
		t.Errorf("after migrating: %v", err)
	}
	conn := session(t, address)
	if _, err := conn.Exec(t.Context(), "DELETE FROM goose_db_version WHERE version_id = 3"); err != nil {
		t.Fatal(err)
	}
	if err := store.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "lacks 1 of") {
		t.Errorf("with one missing: %v", err)
	}
}

func TestADatabaseThatCannotBeTrustedIsNotReady(t *testing.T) {
	t.Parallel()
	_, address := migrated(t, devstack.Postgres(t), pgstore.Options{})
	conn := session(t, address)
	for _, tt := range []struct{ setting, says string }{
		{"synchronous_commit = off", "synchronous_commit"},
		// As on a standby: what it says is old, so it is not even asked.
		{"default_transaction_read_only = on", "read only"},
	} {
		name := conn.Config().Database
		if _, err := conn.Exec(t.Context(), "ALTER DATABASE "+name+" SET "+tt.setting); err != nil {
			t.Fatal(err)
		}
		store := opened(t, address, pgstore.Options{})
		if err := store.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.setting, err)
		}
	}
	store := opened(t, address, pgstore.Options{})
	if _, err := store.Events(t.Context()); !errors.Is(err, allocator.ErrUnavailable) {
		t.Errorf("a server that cannot be written to was read: %v", err)
	}
}

func TestAStadiumIsCreatedAndReadInSeconds(t *testing.T) {
	t.Parallel()
	store, _ := migrated(t, devstack.Postgres(t), pgstore.Options{})
	begun := time.Now()
	h := storetest.Build(t, store, 50_000)
	created := time.Since(begun)
	cells, err := store.Cells(t.Context(), h.ID)
	if err != nil || len(cells) != 50_001 || h.Capacity != 50_000 {
		t.Fatalf("%d cells, capacity %d (%v)", len(cells), h.Capacity, err)
	}
	t.Logf("created in %v, read in %v", created.Round(time.Millisecond), (time.Since(begun) - created).Round(time.Millisecond))
	if took := time.Since(begun); took > 20*time.Second { // 1.5 s on two idle cores
		t.Errorf("creating and reading 50,000 cells took %v", took)
	}
}
