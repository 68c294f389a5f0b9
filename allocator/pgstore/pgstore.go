// Package pgstore keeps the truth in PostgreSQL. It implements the ports Store,
// Outbox, Idempotency and Webhooks of package allocator, and is, with the
// migrations, the only package that knows the database.
//
// Every method is one statement where that can be, or one short transaction; none
// calls anything but the database. Races are decided by the database's unique
// indexes at READ COMMITTED: cells are always taken in the same order, so that two
// claims wait for each other in one direction only.
package pgstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

// Options of a store. Zero values mean the defaults.
type Options struct {
	// MaxConns bounds the pool; default four for each core, at least 8. More do not
	// make PostgreSQL faster, they make it wait for itself.
	MaxConns int32
}

// Limits of every connection. A statement of ours takes milliseconds; one that takes
// seconds has met a lock or a dying server.
const (
	connectTimeout   = 3 * time.Second
	statementTimeout = 15 * time.Second
	lockTimeout      = 3 * time.Second
	idleTimeout      = 10 * time.Second // inside of a transaction
	tries            = 3
)

// Store is safe for concurrent use by any number of processes.
type Store struct{ pool *pgxpool.Pool }

// Open makes a store. Nothing is dialled: the database may be away, and come back.
func Open(dsn string, o Options) (*Store, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading the database's address: %w", err) // pgx leaves the password out
	}
	config.MaxConns = o.MaxConns
	if config.MaxConns <= 0 {
		config.MaxConns = int32(max(8, 4*runtime.NumCPU())) //nolint:gosec // no machine has 2^29 cores
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	// A standby must never be asked: what it knows is old.
	config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	for name, value := range map[string]string{
		"application_name":                    "caddy-tickets allocator",
		"statement_timeout":                   milliseconds(statementTimeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleTimeout),
	} {
		config.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("opening the database pool: %w", err)
	}
	return &Store{pool}, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Close ends all connections.
func (s *Store) Close() { s.pool.Close() }

// Ready implements allocator.Store.
func (s *Store) Ready(ctx context.Context) error {
	var version int64
	var standby bool
	err := s.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0), pg_is_in_recovery() FROM goose_db_version WHERE is_applied`).Scan(&version, &standby)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == undefinedTable:
		return errors.New("the database is empty; run: caddy-tickets migrate up")
	case err != nil:
		return failed("asking the database", err)
	case standby:
		return errors.New("the database is a standby and cannot be written to")
	case version < migrations.Latest():
		return fmt.Errorf("the database is at migration %d and %d is needed; run: caddy-tickets migrate up", version, migrations.Latest())
	}
	return nil
}

// again repeats what the database undid because others were in the way.
func again(ctx context.Context, doing string, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || try == tries || !undone(err) {
			return failed(doing, err)
		}
		timer := time.NewTimer(time.Duration(try) * (10*time.Millisecond + rand.N(20*time.Millisecond)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return failed(doing, ctx.Err())
		}
	}
}

// Codes of PostgreSQL (appendix A of its manual).
const (
	undefinedTable       = "42P01"
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
)

// undone says that a statement had no effect and may have one if it is repeated.
func undone(err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return pgconn.SafeToRetry(err) // nothing was sent
	}
	switch refused.Code {
	case serializationFailure, deadlockDetected, lockNotAvailable:
		return true
	}
	return false
}

// violates says that a constraint refused a statement.
func violates(err error, constraint string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.ConstraintName == constraint
}

// failed gives an error its place, and says whether a later try may mend it: when
// the database did not answer, or answered that it cannot now.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && !passing(refused.Code) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	for _, known := range []error{allocator.ErrUnavailable, allocator.ErrEventUnknown, allocator.ErrBookingUnknown, allocator.ErrEventExists, allocator.ErrKeyInFlight, allocator.ErrKeyMismatch} {
		if errors.Is(err, known) {
			return err
		}
	}
	var conflict *allocator.ConflictError
	if errors.As(err, &conflict) {
		return err
	}
	return fmt.Errorf("%s: %w: %w", doing, allocator.ErrUnavailable, err)
}

// passing says whether a refusal is about the server's state and not about what was
// asked: connection (08), transaction (40), resources (53), locks (55), operator (57),
// system (58).
func passing(code string) bool {
	switch code[:2] {
	case "08", "40", "53", "55", "57", "58":
		return true
	}
	return code == undefinedTable // not migrated yet
}

var (
	_ allocator.Store       = (*Store)(nil)
	_ allocator.Outbox      = (*Store)(nil)
	_ allocator.Idempotency = (*Store)(nil)
	_ allocator.Webhooks    = (*Store)(nil)
)
