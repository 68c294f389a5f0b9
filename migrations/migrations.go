// Package migrations brings the allocator's database up to date. The SQL files
// beside it are part of the program; each is applied once, in a transaction of
// its own, in the order of their numbers, and is never edited after a release.
//
// Any number of processes may call Up at the same time: one of them migrates and
// the others wait for it, by an advisory lock that PostgreSQL drops with the
// session, so a migrator that dies blocks nobody.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore/dsn"
)

//go:embed *.sql
var files embed.FS

const (
	// connectWithin bounds the wait for the server, lockWithin the one for another
	// process that migrates.
	connectWithin = 10 * time.Second
	lockWithin    = 5 * time.Minute
	// tableLock bounds how long a migration waits for a table that is in use.
	// Everything that comes after it waits behind it, and a sale must not notice:
	// the store tries a claim for longer than this.
	tableLock = "2s"
)

// Migration is one of the files and what a database knows of it.
type Migration struct {
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	Applied   bool      `json:"applied"`
	AppliedAt time.Time `json:"appliedAt,omitzero"`
}

// Up applies the migrations that the database does not have yet. It is safe to
// repeat and to call from several processes at once.
func Up(ctx context.Context, address string) error {
	p, err := open(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	_, err = p.Up(ctx)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == lockNotAvailable {
		return fmt.Errorf("applying migrations: a table was in use for longer than %s; nothing was changed by that step, run it again: %w", tableLock, err)
	}
	if err != nil {
		return fmt.Errorf("applying migrations: %w", err)
	}
	return nil
}

// lockNotAvailable is PostgreSQL's code for a lock_timeout that has passed.
const lockNotAvailable = "55P03"

// Status lists the migrations of this program, oldest first. It changes nothing
// but makes the table of versions where there is none.
func Status(ctx context.Context, address string) ([]Migration, error) {
	p, err := open(ctx, address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.Close() }()
	known, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the versions: %w", err)
	}
	all := make([]Migration, len(known))
	for i, m := range known {
		all[i] = Migration{
			Version: m.Source.Version, Name: path.Base(m.Source.Path),
			Applied: m.State == goose.StateApplied, AppliedAt: m.AppliedAt,
		}
	}
	return all, nil
}

// Needed lists the versions that this program needs, for who asks the database
// itself which ones it has.
func Needed() ([]int64, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("reading the embedded migrations: %w", err)
	}
	versions := make([]int64, len(entries))
	for i, entry := range entries {
		if versions[i], err = goose.NumericComponent(entry.Name()); err != nil {
			return nil, fmt.Errorf("embedded migration %s: %w", entry.Name(), err)
		}
	}
	return versions, nil
}

// VersionTable is where the applied versions are: version_id and is_applied.
const VersionTable = goose.DefaultTablename

func open(ctx context.Context, address string) (*goose.Provider, error) {
	config, err := dsn.Parse(address)
	if err != nil {
		return nil, err
	}
	c := config.ConnConfig
	c.RuntimeParams["application_name"] = "caddy-tickets migrate"
	c.RuntimeParams["lock_timeout"] = tableLock
	c.ConnectTimeout = connectWithin
	db := stdlib.OpenDB(*c)
	p, err := provider(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return p, nil
}

func provider(ctx context.Context, db *sql.DB) (*goose.Provider, error) {
	if err := db.PingContext(ctx); err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(lockWithin/time.Second))) //nolint:gosec // a positive constant
	if err != nil {
		return nil, fmt.Errorf("preparing the lock: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("reading the embedded migrations: %w", err)
	}
	return p, nil
}
