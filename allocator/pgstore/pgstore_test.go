package pgstore_test

import (
	"testing"

	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/storetest"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

// open makes a migrated database and a store on it.
func open(t testing.TB, server *devstack.PostgresServer, o pgstore.Options) (*pgstore.Store, string) {
	t.Helper()
	address := server.DSN()
	if err := migrations.Up(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	store, err := pgstore.Open(address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store, address
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		t.Helper()
		store, _ := open(t, devstack.Postgres(t), pgstore.Options{})
		return store
	})
}
