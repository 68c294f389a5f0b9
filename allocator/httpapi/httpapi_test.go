package httpapi_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/httpapi"
	"github.com/caddy-tickets/caddy-tickets/allocator/livemap"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment/sandbox"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/redislock"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

const room = "arena"

// shop is the surface over real servers, with passes signed here.
type shop struct {
	t       testing.TB
	handler http.Handler
	store   *pgstore.Store
	redis   *devstack.RedisServer
	locks   *redislock.Locks
	signer  *pass.Signer
	clock   *clock.Fake
	box     *slowBox
	secret  []byte
	missing atomic.Pointer[error] // what /readyz answers
}

// slowBox tells when the provider was asked.
type slowBox struct {
	*sandbox.Provider
	asked chan struct{}
}

func (s *slowBox) Authorise(ctx context.Context, r payment.Request) (payment.Payment, error) {
	if r.Method == "tok_panic" {
		panic("a provider that nobody expected")
	}
	select {
	case s.asked <- struct{}{}:
	default:
	}
	return s.Provider.Authorise(ctx, r)
}

func open(t testing.TB) *shop {
	t.Helper()
	s := &shop{t: t, redis: devstack.Redis(t), clock: clock.NewFake(time.Now()), secret: []byte("of the tests")}
	dsn := devstack.Postgres(t).DSN()
	if err := migrations.Up(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.store, err = pgstore.Open(dsn, pgstore.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.store.Close)
	ring, err := pass.NewKeyRing(rand.Reader, s.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.signer = pass.NewSigner(ring, s.clock)
	box, err := sandbox.New(sandbox.Options{Clock: s.clock, Secret: s.secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	s.box = &slowBox{box, make(chan struct{}, 1)}
	log, locks := slog.New(slog.DiscardHandler), redislock.New(s.redis.Client())
	s.locks = locks
	seller := sale.New(sale.Deps{Store: s.store, Outbox: s.store, Webhooks: s.store, Locks: locks, Provider: s.box, Clock: s.clock, Log: log})
	maps := livemap.New(livemap.Deps{Source: locks, Catalog: s.store, Clock: clock.System(), Log: log, Rebuild: seller.Rebuild}, livemap.Settings{})
	t.Cleanup(func() { _ = maps.Close(context.Background()) })
	s.handler = httpapi.New(httpapi.Deps{
		Sale: seller, Maps: maps, Idempotency: s.store, Passes: pass.NewVerifier(s.signer, s.clock), Provider: box.Name(),
		Clock: s.clock, Log: log, Metrics: prometheus.NewRegistry(),
		Ready: func(context.Context) error {
			if err := s.missing.Load(); err != nil {
				return *err
			}
			return nil
		},
	})
	return s
}

// event puts seats A0, A1, … and standing places in area S on sale, at most six to a pass.
func (s *shop) event(seats, standing int) string {
	s.t.Helper()
	n := allocator.NewEvent{
		Event: allocator.Event{
			Slug: "e-" + uuid.NewString()[:8], Name: "Evening", Room: room, Currency: "EUR", Phase: allocator.PhaseDraft, Epoch: 1,
			HoldTTL: 5 * time.Minute, PayTTL: 10 * time.Minute, MaxPerPass: 6, LayoutHash: strings.Repeat("0", 64),
		},
		Categories: []allocator.Category{{Name: "All", Price: 4500}}, Layout: []byte("{}"),
	}
	for i := range seats {
		n.Cells = append(n.Cells, allocator.Cell{ID: fmt.Sprint("A", i), Ordinal: i})
	}
	for i := range standing {
		n.Cells = append(n.Cells, allocator.Cell{ID: fmt.Sprint("S", i), Ordinal: seats + i, Area: "S"})
	}
	if _, err := s.store.CreateEvent(s.t.Context(), n); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.store.SetPhase(s.t.Context(), n.Event.Slug, allocator.PhaseOpen); err != nil {
		s.t.Fatal(err)
	}
	return n.Event.Slug
}

// claims are those of a good pass.
func (s *shop) claims(visitor string) pass.Claims {
	now := s.clock.Now()
	return pass.Claims{Room: room, Visitor: visitor, ID: uuid.NewString(), IssuedAt: now, Expires: now.Add(time.Hour)}
}

func (s *shop) sign(c pass.Claims) string {
	s.t.Helper()
	token, err := s.signer.Sign(c)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *shop) pass(visitor string) string { return s.sign(s.claims(visitor)) }

// ask is one request.
type ask struct {
	method, path, pass, key, body string
	header                        map[string]string
}

// answer is what came of it.
type answer struct {
	status int
	header http.Header
	body   string
	doc    map[string]any
}

func (a answer) code() string { code, _ := a.doc["code"].(string); return code }

func (s *shop) do(q ask) answer {
	s.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), q.method, q.path, strings.NewReader(q.body))
	if q.pass != "" {
		r.Header.Set("Waitroom-Pass", q.pass)
	}
	if q.key != "" {
		r.Header.Set("Idempotency-Key", q.key)
	}
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	got := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	if strings.Contains(got.header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &got.doc); err != nil {
			s.t.Errorf("%s %s: %v in %s", q.method, q.path, err, got.body)
		}
	}
	if got.status >= 400 {
		if got.header.Get("Content-Type") != problem.ContentType || got.code() == "" || got.header.Get("Cache-Control") != "no-store" {
			s.t.Errorf("%s %s: %d is no problem document: %v %s", q.method, q.path, got.status, got.header, got.body)
		}
	}
	return got
}

// refused fails unless an answer is the problem.
func (s *shop) refused(q ask, status int, code string) answer {
	s.t.Helper()
	got := s.do(q)
	if got.status != status || got.code() != code {
		s.t.Errorf("%s %s %.60s: %d %s, want %d %s", q.method, q.path, q.body, got.status, got.body, status, code)
	}
	return got
}

func (s *shop) holds(event, visitor, key, body string) ask {
	return ask{method: http.MethodPost, path: "/v1/events/" + event + "/holds", pass: s.pass(visitor), key: key, body: body}
}

// hold makes a hold that must succeed.
func (s *shop) hold(event, visitor, key, body string) string {
	s.t.Helper()
	got := s.do(s.holds(event, visitor, key, body))
	id, _ := got.doc["holdId"].(string)
	if got.status != http.StatusCreated || id == "" {
		s.t.Fatalf("holding %s: %d %s", body, got.status, got.body)
	}
	return id
}

func pays(method string) string {
	return `{"method":"` + method + `","buyer":{"name":"Ada Lovelace","email":"ada@example.org"}}`
}

func (s *shop) pays(hold, visitor, key, method string) ask {
	return ask{method: http.MethodPost, path: "/v1/holds/" + hold + "/checkout", pass: s.pass(visitor), key: key, body: pays(method)}
}

// seats is the body of a hold.
func seats(ids ...string) string {
	var b bytes.Buffer
	_ = json.NewEncoder(&b).Encode(map[string][]string{"cells": ids})
	return strings.TrimSpace(b.String())
}

func TestAFanHoldsPaysAndSeesTheBooking(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(4, 2)
	for _, prefix := range []string{"/v1", "/api/v1"} {
		cell := map[string]string{"/v1": "A0", "/api/v1": "A1"}[prefix]
		shown := s.do(ask{method: http.MethodGet, path: prefix + "/events/" + event})
		if shown.status != http.StatusOK || shown.doc["capacity"] != float64(6) || shown.doc["maxPerPass"] != float64(6) {
			t.Fatalf("the event: %d %s", shown.status, shown.body)
		}
		visitor := "ann of " + prefix
		q := s.holds(event, visitor, "k", seats(cell))
		q.path = prefix + "/events/" + event + "/holds"
		held := s.do(q)
		id, _ := held.doc["holdId"].(string)
		price, _ := held.doc["price"].(map[string]any)
		if held.status != http.StatusCreated || held.header.Get("Location") != "../../holds/"+id || price["amount"] != float64(4500) || price["currency"] != "EUR" {
			t.Fatalf("the hold: %d %v %s", held.status, held.header, held.body)
		}
		left, _ := held.doc["expiresInSeconds"].(float64) // by this test's clock, which stands still
		if _, text := held.doc["fence"].(string); !text || left > 330 || left < 290 {
			t.Errorf("the hold: %s", held.body)
		}
		read := s.do(ask{method: http.MethodGet, path: prefix + "/holds/" + id, pass: s.pass(visitor)})
		if read.status != http.StatusOK || read.doc["holdId"] != id {
			t.Errorf("reading the hold: %d %s", read.status, read.body)
		}
		pay := s.pays(id, visitor, "pay", "tok_ok")
		pay.path = prefix + "/holds/" + id + "/checkout"
		booked := s.do(pay)
		if booked.status != http.StatusCreated || booked.doc["state"] != "booked" {
			t.Fatalf("the checkout: %d %s", booked.status, booked.body)
		}
		booking, _ := booked.doc["bookingId"].(string)
		found := s.do(ask{method: http.MethodGet, path: prefix + "/bookings/" + booking, pass: s.pass(visitor)})
		if found.status != http.StatusOK || found.doc["bookingId"] != booking {
			t.Errorf("the booking: %d %s", found.status, found.body)
		}
	}
	id := s.hold(event, "bob", "k", `{"area":{"id":"S","quantity":2}}`)
	for range 2 {
		if got := s.do(ask{method: http.MethodDelete, path: "/v1/holds/" + id, pass: s.pass("bob")}); got.status != http.StatusNoContent {
			t.Errorf("giving back: %d %s", got.status, got.body)
		}
	}
}

func TestAPassInItsCookieIsAsGoodAsInTheHeader(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(4, 0)
	for i, name := range []string{"__Host-pass-" + room, "pass-" + room} {
		q := s.holds(event, "ann", "k", seats(fmt.Sprint("A", i)))
		q.pass, q.header = "", map[string]string{"Cookie": name + "=" + s.pass(fmt.Sprint("fan", i))}
		if got := s.do(q); got.status != http.StatusCreated {
			t.Errorf("with %s: %d %s", name, got.status, got.body)
		}
	}
	q := s.holds(event, "ann", "k", seats("A3"))
	q.pass, q.header = "", map[string]string{"Cookie": "pass-other=" + s.pass("fan")}
	s.refused(q, http.StatusUnauthorized, "pass-required")
}

func TestReadyNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := open(t)
	if got := s.do(ask{method: http.MethodGet, path: "/readyz"}); got.status != http.StatusOK {
		t.Errorf("all is there: %d %s", got.status, got.body)
	}
	err := errors.New("Redis is not ready")
	s.missing.Store(&err)
	got := s.refused(ask{method: http.MethodGet, path: "/readyz"}, http.StatusServiceUnavailable, "not-ready")
	if !strings.Contains(got.body, "Redis is not ready") || got.header.Get("Retry-After") == "" {
		t.Errorf("got %v %s", got.header, got.body)
	}
	if got := s.do(ask{method: http.MethodGet, path: "/healthz"}); got.status >= 300 {
		t.Errorf("alive: %d", got.status)
	}
}
