package pgstore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/storetest"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

func TestAStoreOpensWithoutAServerAndRecovers(t *testing.T) {
	t.Parallel()
	server := devstack.OwnPostgres(t)
	_, address := migrated(t, server, pgstore.Options{})
	server.Kill()
	store := opened(t, address, pgstore.Options{})
	key := allocator.IdempotencyKey{Scope: "ada", Key: "k"}
	calls := map[string]func() error{
		"ready":   func() error { return store.Ready(t.Context()) },
		"events":  func() error { _, err := store.Events(t.Context()); return err },
		"lease":   func() error { _, err := store.Lease(t.Context(), 1, time.Second); return err },
		"reserve": func() error { _, err := store.Reserve(t.Context(), key, time.Second); return err },
		"webhook": func() error { _, err := store.NoteWebhook(t.Context(), "sandbox", "evt"); return err },
		"create":  func() error { _, err := store.CreateEvent(t.Context(), storetest.NewHall(1)); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, allocator.ErrUnavailable) {
			t.Errorf("%s without a server: %v", name, err)
		}
	}
	server.Start()
	for name, call := range calls {
		if err := call(); err != nil {
			t.Errorf("%s with the server: %v", name, err)
		}
	}
	// A restart between two calls is noticed by nobody: dead connections are replaced.
	server.Kill()
	server.Start()
	var all errgroup.Group
	for range 16 {
		all.Go(func() error { _, err := store.Events(t.Context()); return err })
	}
	if err := all.Wait(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// killTraffic is what the workers of TestAKilledServerLosesNothing know.
type killTraffic struct {
	mu           sync.Mutex
	acknowledged map[string][]string // booking → cells, of claims that succeeded
	unknown      map[string]bool     // bookings whose claim may have been committed
	sold         map[string]bool     // bookings whose sale was acknowledged
	maybeSold    map[string]bool
}

// sell claims random seats and books them.
func (k *killTraffic) sell(ctx context.Context, store *pgstore.Store, h storetest.Hall, seats int) {
	wish := rand.Perm(seats)[:1+rand.N(3)]
	b := h.Booking(wish...)
	err := store.Claim(ctx, b)
	k.mu.Lock()
	switch {
	case err == nil:
		k.acknowledged[b.ID] = slices.Sorted(slices.Values(b.Cells))
	case errors.Is(err, allocator.ErrUnavailable):
		k.unknown[b.ID] = true
	}
	k.mu.Unlock()
	if err != nil {
		return
	}
	b.Attempt, b.PaymentID = 1, "pay"
	moved, err := store.Advance(ctx, b, allocator.BookedState, allocator.Claimed)
	k.mu.Lock()
	defer k.mu.Unlock()
	if moved {
		k.sold[b.ID] = true
	} else if err != nil {
		k.maybeSold[b.ID] = true
	}
}

// I3, and I1 over it: the server is killed twice while eight workers sell.
func TestAKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	const seats = 20_000
	server := devstack.OwnPostgres(t)
	store, address := migrated(t, server, pgstore.Options{})
	h := storetest.Build(t, store, seats)
	k := &killTraffic{acknowledged: map[string][]string{}, unknown: map[string]bool{}, sold: map[string]bool{}, maybeSold: map[string]bool{}}
	claims := func() int {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(k.acknowledged)
	}
	var stop atomic.Bool
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for !stop.Load() {
				k.sell(t.Context(), store, h, seats)
			}
		})
	}
	for range 2 {
		before := claims()
		await(t, "selling goes on", func() bool { return claims() > before+100 })
		server.Kill()
		server.Start()
	}
	before := claims()
	await(t, "selling goes on by itself after the last restart", func() bool { return claims() > before+100 })
	stop.Store(true)
	workers.Wait()
	t.Logf("%d claims acknowledged, %d of unknown outcome; %d sales acknowledged, %d of unknown outcome",
		len(k.acknowledged), len(k.unknown), len(k.sold), len(k.maybeSold))

	conn := session(t, address)
	there := make(map[string][]string)
	booked := make(map[string]bool)
	rows, err := conn.Query(t.Context(), `SELECT booking_id, cell_id, status = 'BOOKED' FROM claim WHERE status IN ('PAYING', 'BOOKED') ORDER BY cell_id COLLATE "C"`)
	if err != nil {
		t.Fatal(err)
	}
	owner := make(map[string]string)
	for rows.Next() {
		var id, cell string
		var isBooked bool
		if err := rows.Scan(&id, &cell, &isBooked); err != nil {
			t.Fatal(err)
		}
		there[id] = append(there[id], cell)
		booked[id] = isBooked
		if other, twice := owner[cell]; twice {
			t.Errorf("I1: cell %s is of %s and of %s", cell, other, id)
		}
		owner[cell] = id
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	for id, cells := range k.acknowledged {
		if !slices.Equal(there[id], cells) {
			t.Errorf("I3: the acknowledged claim %s of %v is %v", id, cells, there[id])
		}
		if k.sold[id] && !booked[id] {
			t.Errorf("I3: the acknowledged sale %s is not there", id)
		}
		if booked[id] && !k.sold[id] && !k.maybeSold[id] {
			t.Errorf("%s is sold, and nobody sold it", id)
		}
	}
	for id := range there {
		if k.acknowledged[id] == nil && !k.unknown[id] {
			t.Errorf("%s has claims, and its claim was refused", id)
		}
	}
	var broken int
	err = conn.QueryRow(t.Context(), `SELECT count(*) FROM booking b WHERE (state = 'booked') <> EXISTS (SELECT FROM claim c WHERE c.booking_id = b.id AND c.status = 'BOOKED')
		OR (state = 'booked') <> ((SELECT count(*) FROM outbox o WHERE o.booking_id = b.id) = 2) OR NOT EXISTS (SELECT FROM claim c WHERE c.booking_id = b.id)`).Scan(&broken)
	if err != nil || broken != 0 {
		t.Errorf("%d bookings have a part of what belongs to them (%v)", broken, err)
	}
}

func TestACallThatCannotBeServedEndsInTime(t *testing.T) {
	t.Parallel()
	_, address := migrated(t, devstack.Postgres(t), pgstore.Options{})
	store := opened(t, address, pgstore.Options{MaxConns: 1, LockTimeout: 20 * time.Millisecond})
	h := storetest.Build(t, store, 10)
	b := h.Claimed(t, 1)
	conn := session(t, address)
	done(t, conn, "BEGIN")
	done(t, conn, "SELECT FROM booking WHERE id = $1 FOR UPDATE", b.ID)
	if moved, err := store.Advance(t.Context(), b, allocator.Expired, allocator.Claimed); moved || !errors.Is(err, allocator.ErrUnavailable) {
		t.Errorf("a row that somebody keeps: %v, %v", moved, err)
	}
	done(t, conn, "ROLLBACK")

	patient := opened(t, address, pgstore.Options{MaxConns: 1, LockTimeout: time.Minute, StatementTimeout: time.Minute, AcquireTimeout: 300 * time.Millisecond})
	// On a busy machine connecting alone takes longer than that.
	await(t, "the pool has its one connection", func() bool { return patient.Ready(t.Context()) == nil })
	done(t, conn, "BEGIN")
	done(t, conn, "SELECT FROM booking WHERE id = $1 FOR UPDATE", b.ID)
	caller, leave := context.WithCancel(t.Context())
	finished := make(chan error, 1)
	go func() {
		moved, err := patient.Advance(caller, b, allocator.Expired, allocator.Claimed)
		if !moved {
			err = errors.Join(err, errors.New("it was not moved"))
		}
		finished <- err
	}()
	watcher := session(t, address)
	await(t, "the move waits for the row", func() bool { return waiting(t, watcher) == 1 })

	// The pool's one connection is busy.
	hurried, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := patient.Events(hurried); !errors.Is(err, allocator.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a pool without a connection to spare: %v", err)
	}
	if _, err := patient.Events(t.Context()); !errors.Is(err, allocator.ErrUnavailable) {
		t.Errorf("the same for a caller who would wait for ever: %v", err)
	}
	// A caller who leaves does not undo a write that has begun.
	leave()
	done(t, conn, "ROLLBACK")
	if err := <-finished; err != nil {
		t.Errorf("a move whose caller left: %v", err)
	}
	if _, err := patient.Events(caller); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who has left already: %v", err)
	}
}

// All connections of a pool die together: one call must not have to find that out
// about each of them.
func TestASessionTheServerEndedIsNoticedByNobody(t *testing.T) {
	t.Parallel()
	const conns = 8
	_, address := migrated(t, devstack.Postgres(t), pgstore.Options{})
	store := opened(t, address, pgstore.Options{MaxConns: conns, LockTimeout: time.Minute, StatementTimeout: time.Minute})
	h := storetest.Build(t, store, 1)
	b := h.Claimed(t, 0)
	conn := session(t, address)
	done(t, conn, "BEGIN")
	done(t, conn, "SELECT FROM booking WHERE id = $1 FOR UPDATE", b.ID)
	var all errgroup.Group
	for range conns { // each needs a connection at the same time
		all.Go(func() error {
			_, err := store.Advance(t.Context(), b, allocator.Authorising, allocator.Claimed)
			return err
		})
	}
	watcher := session(t, address)
	await(t, "every connection is in use", func() bool { return waiting(t, watcher) == conns })
	done(t, conn, "ROLLBACK")
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	done(t, conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'caddy-tickets%'")
	if _, err := store.Booking(t.Context(), b.ID); err != nil {
		t.Error(err)
	}
}

// waiting counts the sessions of the database that wait for a lock. Its session must
// not be in a transaction: there the view stays as it was first seen.
func waiting(t *testing.T, conn *pgx.Conn) int {
	t.Helper()
	var n int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNoTwoClaimsEverWaitForEachOther(t *testing.T) {
	t.Parallel()
	const seats = 16
	store, address := migrated(t, devstack.Postgres(t), pgstore.Options{})
	h := storetest.Build(t, store, seats)
	var all errgroup.Group
	for worker := range 8 {
		all.Go(func() error {
			for range 60 {
				wish := rand.Perm(seats)
				if worker%2 == 0 {
					slices.Sort(wish)
					slices.Reverse(wish)
				}
				b := h.Booking(wish[:8]...)
				err := store.Claim(t.Context(), b)
				var conflict *allocator.ConflictError
				if errors.As(err, &conflict) {
					continue
				}
				if err != nil {
					return err
				}
				if _, err = store.Advance(t.Context(), b, allocator.Expired, allocator.Claimed); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	store.Close() // sessions report what they met at their end
	conn := session(t, address)
	var deadlocks int
	await(t, "the sessions are gone", func() bool {
		var sessions int
		err := conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()),
			deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&sessions, &deadlocks)
		return err == nil && sessions == 0
	})
	if deadlocks != 0 {
		t.Errorf("the server had to break %d deadlocks", deadlocks)
	}
}

func TestTheServersViewsSayWhoWeAre(t *testing.T) {
	t.Parallel()
	_, address := migrated(t, devstack.Postgres(t), pgstore.Options{})
	store := opened(t, address, pgstore.Options{ApplicationName: "the box office"})
	if err := store.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var names []string
	err := session(t, address).QueryRow(t.Context(), `SELECT array_agg(application_name) FROM pg_stat_activity WHERE datname = current_database()`).Scan(&names)
	if err != nil || !slices.Contains(names, "the box office") {
		t.Errorf("the sessions are called %s (%v)", strings.Join(names, ", "), err)
	}
}
