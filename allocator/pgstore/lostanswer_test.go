package pgstore_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/storetest"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// proxy stands between a store and the server, and can lose an answer: the server
// does what it was asked to, and the connection breaks before anybody hears of it.
type proxy struct {
	listener net.Listener
	socket   string
	armed    atomic.Bool
	lost     atomic.Int64
	open     sync.WaitGroup
}

// readyForQuery ends every answer of the server, outside of a transaction.
var readyForQuery = []byte{'Z', 0, 0, 0, 5, 'I'}

// newProxy returns a proxy to a database and the address that goes through it.
func newProxy(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	config, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, socket: fmt.Sprintf("%s/.s.PGSQL.%d", config.Host, config.Port)}
	p.open.Go(p.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		p.open.Wait()
	})
	return p, fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", config.User, listener.Addr(), config.Database)
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.socket)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.open.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
		p.open.Go(func() { p.answers(client, server); _ = client.Close() })
	}
}

// answers passes the server's answers on, and swallows the next one once armed.
func (p *proxy) answers(client, server net.Conn) {
	defer func() { _ = server.Close() }()
	var swallowed []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := server.Read(chunk)
		if err != nil {
			return
		}
		if p.armed.Load() {
			// All of it: what the client has not heard the end of, it may not believe.
			if swallowed = append(swallowed, chunk[:n]...); bytes.HasSuffix(swallowed, readyForQuery) {
				p.armed.Store(false)
				p.lost.Add(1)
				return
			}
			continue
		}
		if _, err := client.Write(chunk[:n]); err != nil {
			return
		}
	}
}

// losing makes a call whose answer is lost once.
func (p *proxy) losing(t *testing.T, what string, call func() error) {
	t.Helper()
	before := p.lost.Load()
	p.armed.Store(true)
	if err := call(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if p.lost.Load() != before+1 {
		t.Fatalf("%s: %d answers were lost, want one", what, p.lost.Load()-before)
	}
}

// F5: a commit whose answer is lost is neither repeated nor forgotten.
func TestALostAnswerIsLookedUp(t *testing.T) {
	t.Parallel()
	direct, address := migrated(t, devstack.Postgres(t), pgstore.Options{})
	p, through := newProxy(t, address)
	store := opened(t, through, pgstore.Options{MaxConns: 1})
	h := storetest.Build(t, store, 50)

	// Once without loss, so that every statement is prepared and one message is one call.
	warm := h.Booked(t, 0)
	key := allocator.IdempotencyKey{Scope: "ada", Key: "warm"}
	if _, err := store.Reserve(t.Context(), key, time.Minute); err != nil {
		t.Fatal(err)
	}

	b := h.Booking(1, 2)
	p.losing(t, "claim", func() error { return store.Claim(t.Context(), b) })
	b.Attempt, b.PaymentID = 1, "pay_1"
	for _, to := range []allocator.BookingState{allocator.Authorising, allocator.BookedState} {
		from := b.State
		// The retry prepares its statement anew on a new connection; warm that one.
		if moved, err := store.Advance(t.Context(), warm, allocator.BookedState, allocator.Claimed); moved || err != nil {
			t.Fatal(moved, err)
		}
		p.losing(t, "advance", func() error {
			moved, err := store.Advance(t.Context(), b, to, from)
			if !moved {
				return fmt.Errorf("told that somebody else moved it to %s (%w)", to, err)
			}
			return nil
		})
		b.State = to
	}
	key.Key = "warm again"
	if _, err := store.Reserve(t.Context(), key, time.Minute); err != nil {
		t.Fatal(err)
	}
	key.Key = "lost"
	p.losing(t, "reserve", func() error {
		reply, err := store.Reserve(t.Context(), key, time.Minute)
		if reply != nil {
			return fmt.Errorf("a reply that nobody gave: %+v", reply)
		}
		return err
	})

	got, err := direct.Booking(t.Context(), b.ID)
	if err != nil || got.State != allocator.BookedState || len(got.Cells) != 2 {
		t.Errorf("the booking is %+v (%v)", got, err)
	}
	tasks, err := direct.Lease(t.Context(), 100, time.Minute)
	if err != nil || len(tasks) != 4 { // two of each booking
		t.Errorf("tasks: %+v (%v)", tasks, err)
	}
	// Somebody else's move is still told from one's own.
	if moved, err := store.Advance(t.Context(), b, allocator.BookedState, allocator.Authorising); moved || err != nil {
		t.Errorf("a move that was made by another call: %v, %v", moved, err)
	}
}
