package migrations_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore/dsn"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

func TestStatusTellsWhatIsMissingAndWhatIsThere(t *testing.T) {
	t.Parallel()
	address := devstack.Postgres(t).DSN()
	needed, err := migrations.Needed()
	if err != nil || len(needed) == 0 {
		t.Fatalf("needed: %v, %v", needed, err)
	}
	for _, applied := range []bool{false, true, true} {
		all, err := migrations.Status(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != len(needed) {
			t.Fatalf("%d migrations listed, %d needed", len(all), len(needed))
		}
		for i, m := range all {
			if m.Version != needed[i] || m.Name == "" || m.Applied != applied || m.AppliedAt.IsZero() == applied {
				t.Errorf("got %+v, want version %d, applied %v", m, needed[i], applied)
			}
		}
		if err := migrations.Up(t.Context(), address); err != nil { // the second time there is nothing to do
			t.Fatal(err)
		}
	}
}

func TestManyMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	server := devstack.Postgres(t)
	address := server.DSN()
	var all errgroup.Group
	for range 4 {
		all.Go(func() error { return migrations.Up(t.Context(), address) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	twice, err := devstack.Query(t.Context(), address, "SELECT count(*) FROM (SELECT 1 FROM "+migrations.VersionTable+" GROUP BY version_id HAVING count(*) > 1) AS twice")
	if err != nil || twice != "0" {
		t.Fatalf("%s migrations were applied twice (%v)", twice, err)
	}
}

// A migration that waits for a table makes all of a sale wait behind it: it gives
// up instead, and can be run again.
func TestAMigrationGivesUpOnATableInUse(t *testing.T) {
	t.Parallel()
	address := devstack.Postgres(t).DSN()
	if _, err := migrations.Status(t.Context(), address); err != nil { // makes the table of versions
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE "+migrations.VersionTable+" IN SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	err = migrations.Up(t.Context(), address)
	if err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Errorf("a table in use: got %v, want to be told to run it again", err)
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("it gave up after %v", took)
	}
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Up(t.Context(), address); err != nil {
		t.Errorf("run again: %v", err)
	}
}

// secret is in every bad address below and must be in no error.
const secret = "hunter"

func TestNoErrorContainsThePassword(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"nothing listens":            "postgres://tickets:" + secret + "@127.0.0.1:1/tickets?connect_timeout=1",
		"no number as port":          "postgres://tickets:x@127.0.0.1:" + secret + "/tickets",
		"a slash in it":              "postgres://tickets:12/" + secret + "@127.0.0.1/tickets",
		"a question in it":           "postgres://tickets:12?" + secret + "@127.0.0.1/tickets",
		"a hash in it":               "postgres://tickets:12#" + secret + "@127.0.0.1/tickets",
		"a percent in it":            "postgres://tickets:%" + secret + "@127.0.0.1/tickets",
		"a bad keyword":              "host=127.0.0.1 password=" + secret + " port=x",
		"no keyword":                 secret,
		"a torn value":               "host=127.0.0.1 password='" + secret,
		"a control character":        "postgres://tickets:" + secret + "\x7f@127.0.0.1/tickets",
		"keywords, no server":        "host=127.0.0.1 port=1 user=tickets connect_timeout=1 password=" + secret,
		"a missing root certificate": "postgres://tickets:" + secret + "@127.0.0.1:1/tickets?sslmode=verify-full&sslrootcert=/nowhere",
	} {
		for call, err := range map[string]error{
			"up":     migrations.Up(t.Context(), address),
			"status": func() error { _, err := migrations.Status(t.Context(), address); return err }(),
		} {
			if err == nil {
				t.Errorf("%s: %s succeeded", name, call)
			} else if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %s says %q", name, call, err)
			}
		}
	}
	if _, err := dsn.Parse(" "); err == nil {
		t.Error("an empty address was taken for one") // pgx would try whatever runs on this machine
	}
}
