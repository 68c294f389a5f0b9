package service_test

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/service"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

// running is an allocator that serves.
type running struct {
	url    string
	signer *pass.Signer
	stop   context.CancelFunc
	ended  chan error
}

func run(t *testing.T, redis, database string) *running {
	t.Helper()
	ring, err := pass.NewKeyRing(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(keys, ring.JWKS(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := service.New(service.Config{Redis: redis, Database: database, JWKS: keys})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{url: "http://" + listener.Addr().String(), signer: pass.NewSigner(ring, clock.System()), stop: stop, ended: make(chan error, 1)}
	go func() { r.ended <- s.Run(ctx, listener) }()
	t.Cleanup(stop)
	return r
}

// ask makes one request and returns status and body.
func (r *running) ask(t *testing.T, method, path, visitor, body string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Idempotency-Key", "k-"+path)
	if visitor != "" {
		now := time.Now()
		token, err := r.signer.Sign(pass.Claims{Room: "arena", Visitor: visitor, ID: uuid.NewString(), IssuedAt: now, Expires: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Waitroom-Pass", token)
	}
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	reply, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(reply)
}

// await asks again and again until an answer is what it should be.
func (r *running) await(t *testing.T, what string, good func() bool) {
	t.Helper()
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !good() {
		select {
		case <-tick.C:
		case <-deadline.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (r *running) ready(t *testing.T) (int, string) {
	t.Helper()
	return r.ask(t, http.MethodGet, "/readyz", "", "")
}

// event puts one seat on sale.
func event(t *testing.T, dsn string) {
	t.Helper()
	store, err := pgstore.Open(dsn, pgstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	_, err = store.CreateEvent(t.Context(), allocator.NewEvent{
		Event: allocator.Event{
			Slug: "evening", Name: "Evening", Room: "arena", Currency: "EUR", Epoch: 1,
			HoldTTL: 5 * time.Minute, PayTTL: 10 * time.Minute, MaxPerPass: 6, LayoutHash: strings.Repeat("0", 64),
		},
		Categories: []allocator.Category{{Name: "All", Price: 4500}}, Layout: []byte("{}"),
		Cells: []allocator.Cell{{ID: "A0"}, {ID: "A1", Ordinal: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.SetPhase(t.Context(), "evening", allocator.PhaseOpen); err != nil {
		t.Fatal(err)
	}
}

func TestItStartsWithoutItsServersAndSellsAsSoonAsTheyAreThere(t *testing.T) {
	t.Parallel()
	redis, database := devstack.Redis(t), devstack.OwnPostgres(t)
	dsn := database.DSN()
	if err := migrations.Up(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	event(t, dsn)
	redis.Kill()
	database.Kill()

	r := run(t, redis.URL(), dsn)
	if status, body := r.ready(t); status != http.StatusServiceUnavailable || !strings.Contains(body, "PostgreSQL is not ready") || !strings.Contains(body, "Redis is not ready") {
		t.Errorf("with nothing there: %d %s", status, body)
	}
	if status, body := r.ask(t, http.MethodPost, "/v1/events/evening/holds", "ann", `{"cells":["A0"]}`); status != http.StatusServiceUnavailable {
		t.Errorf("a hold: %d %s", status, body)
	}
	database.Start()
	r.await(t, "only Redis is missing", func() bool {
		status, body := r.ready(t)
		return status == http.StatusServiceUnavailable && !strings.Contains(body, "PostgreSQL") && strings.Contains(body, "Redis is not ready")
	})
	redis.Start()
	r.await(t, "it is ready", func() bool {
		status, _ := r.ready(t)
		return status == http.StatusOK
	})
	r.await(t, "it sells", func() bool {
		status, _ := r.ask(t, http.MethodPost, "/v1/events/evening/holds", "ann", `{"cells":["A0"]}`)
		return status == http.StatusCreated
	})
	r.stop()
	if err := <-r.ended; err != nil {
		t.Errorf("at its end: %v", err)
	}
}

func TestAnAllocatorThatIsAskedToEndEndsAndRefusesConfigsItCannotServe(t *testing.T) {
	t.Parallel()
	redis, dsn := devstack.Redis(t), devstack.Postgres(t).DSN()
	r := run(t, redis.URL(), dsn)
	if status, body := r.ready(t); status != http.StatusServiceUnavailable || !strings.Contains(body, "migrate up") {
		t.Errorf("a database without migrations: %d %s, want to be told what to run", status, body)
	}
	r.stop()
	if err := <-r.ended; err != nil {
		t.Errorf("at its end: %v", err)
	}
	for name, c := range map[string]service.Config{
		"no redis":      {Redis: "nonsense", Database: dsn, JWKS: "keys.json"},
		"no database":   {Redis: redis.URL(), Database: "postgres://user:hunter2@:bad port/x", JWKS: "keys.json"},
		"no keys":       {Redis: redis.URL(), Database: dsn},
		"nothing given": {},
	} {
		if _, err := service.New(c); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want an error without secrets", name, err)
		}
	}
}
