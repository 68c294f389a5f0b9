// Package pgstore keeps the truth in PostgreSQL. It implements the ports Store,
// Outbox, Idempotency and Webhooks of package allocator, and is, with the
// migrations, the only package that knows the database.
//
// What must hold: a race is decided by an index or a row lock of the database and
// never here; whatever belongs together is one statement or one transaction; cells
// are taken in the order of their ids by everybody, so that no two claims wait for
// each other; and every call can be repeated, which is what is done when an answer
// was lost.
package pgstore

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore/dsn"
)

// Options of a store. Zero values mean the defaults.
type Options struct {
	// MaxConns bounds the pool; default four for each core and at least 8, or what
	// pool_max_conns in the address says. More connections make PostgreSQL wait for
	// itself; waiting here is cheaper.
	MaxConns int
	// StatementTimeout ends a statement that takes longer; default 5s. Ours take
	// milliseconds.
	StatementTimeout time.Duration
	// LockTimeout ends the wait for a row that another transaction has; default 2s.
	LockTimeout time.Duration
	// AcquireTimeout ends the wait for a connection of the pool, where the caller
	// does not give up earlier; default 5s. More callers than the pool can serve are
	// told so instead of kept.
	AcquireTimeout time.Duration
	// ApplicationName is how the server's own views show the connections; default
	// "caddy-tickets allocator".
	ApplicationName string
}

const (
	defaultStatementTimeout = 5 * time.Second
	defaultLockTimeout      = 2 * time.Second
	defaultAcquireTimeout   = 5 * time.Second
	defaultApplicationName  = "caddy-tickets allocator"

	leastConns     = 8
	connectTimeout = 3 * time.Second
	// answerWithin is how long after a statement's own timeout its answer may take.
	answerWithin = 2 * time.Second
	// idleTimeout ends a transaction whose owner has died or hangs: it holds cells.
	idleTimeout = 10 * time.Second
	// Connections are renewed now and then, so that they spread again after a failover.
	connLifetime, connJitter, connIdle = 30 * time.Minute, 5 * time.Minute, 5 * time.Minute
)

// Store is safe for concurrent use; any number of processes may have one.
type Store struct {
	pool *pgxpool.Pool
	// callTimeout bounds a call when not even the server's own limits are heard of.
	callTimeout    time.Duration
	acquireTimeout time.Duration
	emptied        atomic.Int64 // when the pool was last emptied, in Unix nanoseconds
}

// Open makes a store. Nothing is dialled: the server may be away, and come back at
// any time. The only errors are those of the address and the options.
func Open(address string, o Options) (*Store, error) {
	config, err := dsn.Parse(address)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	if o.MaxConns > 0 {
		config.MaxConns = int32(min(o.MaxConns, 10_000)) //nolint:gosec // bounded here
	} else if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = int32(max(leastConns, 4*runtime.NumCPU())) //nolint:gosec // no machine has 2^29 cores
	}
	config.MaxConnLifetime, config.MaxConnLifetimeJitter, config.MaxConnIdleTime = connLifetime, connJitter, connIdle
	config.ConnConfig.ConnectTimeout = connectTimeout
	for name, value := range map[string]string{
		"application_name":                    o.ApplicationName,
		"statement_timeout":                   milliseconds(o.StatementTimeout),
		"lock_timeout":                        milliseconds(o.LockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleTimeout),
	} {
		config.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config) // of the pool's life, which Close ends
	if err != nil {
		return nil, fmt.Errorf("opening the database pool: %w", err)
	}
	return &Store{pool: pool, callTimeout: o.StatementTimeout + answerWithin, acquireTimeout: o.AcquireTimeout}, nil
}

func (o Options) withDefaults() Options {
	if o.StatementTimeout <= 0 {
		o.StatementTimeout = defaultStatementTimeout
	}
	if o.LockTimeout <= 0 {
		o.LockTimeout = defaultLockTimeout
	}
	if o.AcquireTimeout <= 0 {
		o.AcquireTimeout = defaultAcquireTimeout
	}
	if o.ApplicationName == "" {
		o.ApplicationName = defaultApplicationName
	}
	return o
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }

// Close waits for the calls under way and ends all connections.
func (s *Store) Close() { s.pool.Close() }

var (
	_ allocator.Store       = (*Store)(nil)
	_ allocator.Outbox      = (*Store)(nil)
	_ allocator.Idempotency = (*Store)(nil)
	_ allocator.Webhooks    = (*Store)(nil)
)
