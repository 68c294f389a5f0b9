package sale_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment/sandbox"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/redislock"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

const (
	seats    = 30
	standing = 20
	area     = "S"
	price    = 4500
)

// hall is an event on sale with everything that sells it: real locks, a real
// database, and a provider and a clock that the test moves.
type hall struct {
	*allocator.Event
	*sale.Sale
	t        testing.TB
	redis    *devstack.RedisServer
	dsn      string
	store    *pgstore.Store
	locks    *redislock.Locks
	provider *provider
	clock    *clock.Fake
	deps     sale.Deps

	dieAt atomic.Pointer[string] // the step at which the process dies, once
}

// errDied is what a step answers in place of the death of the process.
var errDied = errors.New("the process died here")

// provider is the sandbox with what a test wants to go wrong.
type provider struct {
	*sandbox.Provider
	authorise, get, cancel, capture atomic.Pointer[error] // answered once, in place of the sandbox
	calls                           atomic.Int64          // of Authorise
}

func once(p *atomic.Pointer[error]) error {
	if err := p.Swap(nil); err != nil {
		return *err
	}
	return nil
}

func fail(p *atomic.Pointer[error], err error) { p.Store(&err) }

func (p *provider) Authorise(ctx context.Context, r payment.Request) (payment.Payment, error) {
	p.calls.Add(1)
	if err := once(&p.authorise); err != nil {
		return payment.Payment{}, err
	}
	return p.Provider.Authorise(ctx, r)
}

func (p *provider) Get(ctx context.Context, id string) (payment.Payment, error) {
	if err := once(&p.get); err != nil {
		return payment.Payment{}, err
	}
	return p.Provider.Get(ctx, id)
}

func (p *provider) Cancel(ctx context.Context, id, key string) (payment.Payment, error) {
	if err := once(&p.cancel); err != nil {
		return payment.Payment{}, err
	}
	return p.Provider.Cancel(ctx, id, key)
}

func (p *provider) Capture(ctx context.Context, id, key string) (payment.Payment, error) {
	if err := once(&p.capture); err != nil {
		return payment.Payment{}, err
	}
	return p.Provider.Capture(ctx, id, key)
}

// secret signs the webhooks of the tests.
var secret = []byte("of the tests")

// open puts an event on sale.
func open(t testing.TB, database *devstack.PostgresServer) *hall {
	t.Helper()
	h := &hall{t: t, redis: devstack.Redis(t), dsn: database.DSN(), clock: clock.NewFake(time.Now())}
	if err := migrations.Up(t.Context(), h.dsn); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.store, err = pgstore.Open(h.dsn, pgstore.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.store.Close)
	box, err := sandbox.New(sandbox.Options{Clock: h.clock, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	h.provider, h.locks = &provider{Provider: box}, redislock.New(h.redis.Client())
	h.deps = sale.Deps{
		Store: h.store, Outbox: h.store, Webhooks: h.store, Locks: h.locks, Provider: h.provider,
		Clock: h.clock, Log: slog.New(slog.DiscardHandler), Step: h.step,
	}
	h.Sale = sale.New(h.deps)
	h.create()
	return h
}

func (h *hall) step(name string) error {
	if at := h.dieAt.Load(); at != nil && *at == name && h.dieAt.CompareAndSwap(at, nil) {
		return errDied
	}
	return nil
}

func (h *hall) create() {
	h.t.Helper()
	n := allocator.NewEvent{
		Event: allocator.Event{
			Slug: "hall-" + uuid.NewString()[:8], Name: "Hall", Room: "hall", Currency: "EUR", Phase: allocator.PhaseDraft, Epoch: 1,
			HoldTTL: 5 * time.Minute, PayTTL: 10 * time.Minute, MaxPerPass: 6, LayoutHash: strings.Repeat("0", 64),
		},
		Categories: []allocator.Category{{Name: "Stalls", Price: price}, {Name: "Standing", Price: price}},
		Layout:     []byte("{}"),
	}
	for i := range seats {
		n.Cells = append(n.Cells, allocator.Cell{ID: seat(i), Ordinal: i})
	}
	for i := range standing {
		n.Cells = append(n.Cells, allocator.Cell{ID: fmt.Sprintf("S-%03d", i), Ordinal: seats + i, Category: 1, Area: area})
	}
	e, err := h.store.CreateEvent(h.t.Context(), n)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.Event, err = h.store.SetPhase(h.t.Context(), e.Slug, allocator.PhaseOpen); err != nil {
		h.t.Fatal(err)
	}
}

func seat(i int) string { return fmt.Sprintf("A-%03d", i) }

func want(i ...int) (w sale.Want) {
	for _, n := range i {
		w.Cells = append(w.Cells, seat(n))
	}
	return w
}

func pays(method string) sale.Payment {
	return sale.Payment{Method: method, Buyer: allocator.Buyer{Name: "Ada", Email: "ada@example.org"}}
}

// hold is a hold that must succeed.
func (h *hall) hold(holder, key string, w sale.Want) sale.Held {
	h.t.Helper()
	held, err := h.Hold(h.t.Context(), h.Slug, holder, key, w)
	if err != nil {
		h.t.Fatalf("%s holds %v: %v", holder, w, err)
	}
	return held
}

// checkout is a checkout that must end in a state.
func (h *hall) checkout(held sale.Held, key, method string, state allocator.BookingState) *allocator.Booking {
	h.t.Helper()
	b, err := h.Checkout(h.t.Context(), held.ID, held.Holder, key, pays(method))
	if err != nil {
		h.t.Fatalf("checkout of %s: %v", held.ID, err)
	}
	if b.State != state {
		h.t.Fatalf("the checkout ended %s (%s), want %s", b.State, b.Reason, state)
	}
	return b
}

// state is where a booking stands in the database.
func (h *hall) state(id string) allocator.BookingState {
	h.t.Helper()
	b, err := h.Find(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return b.State
}

// settle works until nothing is left to do: the clock of the sale goes on, and tasks
// that wait in the database are made due.
func (h *hall) settle() {
	h.t.Helper()
	for range 100 {
		h.clock.Advance(time.Minute)
		h.sql(`UPDATE outbox SET due_at = now()`)
		recovered, err := h.Recover(h.t.Context())
		if err != nil {
			h.t.Logf("recovery: %v", err)
		}
		worked, err := h.WorkOutbox(h.t.Context())
		if err != nil {
			h.t.Fatalf("outbox: %v", err)
		}
		if recovered == 0 && worked == 0 {
			return
		}
	}
	h.t.Fatal("the sale never came to rest")
}

func (h *hall) sql(statement string) string {
	h.t.Helper()
	out, err := devstack.Query(context.Background(), h.dsn, statement)
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// check is what must hold once all is quiet.
func (h *hall) check() {
	h.t.Helper()
	h.checkClaims()
	h.checkMoney()
	h.checkLocks()
}

// checkClaims: I1 and I7 of the database itself, and I6.
func (h *hall) checkClaims() {
	h.t.Helper()
	if twice := h.sql(`SELECT cell_id FROM claim WHERE status IN ('PAYING','BOOKED') GROUP BY event_id, cell_id HAVING count(*) > 1`); twice != "" {
		h.t.Errorf("I1: cells with two live claims: %s", twice)
	}
	if sold := h.sql(`SELECT count(*) FROM claim WHERE status = 'BOOKED'`); sold > fmt.Sprint(h.Capacity) && len(sold) >= len(fmt.Sprint(h.Capacity)) {
		h.t.Errorf("I7: %s cells sold of %d", sold, h.Capacity)
	}
	if late := h.sql(`SELECT booking_id FROM claim WHERE status = 'PAYING'`); late != "" {
		h.t.Errorf("I6: still being paid for when all is quiet: %s", late)
	}
	if torn := h.sql(`SELECT b.id, b.state, c.status FROM booking b JOIN claim c ON c.booking_id = b.id
		WHERE (b.state IN ('booked','captured','attention')) <> (c.status = 'BOOKED')`); torn != "" {
		h.t.Errorf("bookings and claims disagree: %s", torn)
	}
}

// checkMoney: I2, money is captured exactly for what is booked, once and the right
// amount, and none stays reserved.
func (h *hall) checkMoney() {
	h.t.Helper()
	captured := make(map[string][]payment.Payment)
	for _, p := range h.provider.Payments() {
		switch p.Status {
		case payment.Succeeded:
			captured[p.Booking] = append(captured[p.Booking], p)
		case payment.Authorised, payment.Pending:
			h.t.Errorf("I2: payment %s of %s is %s for nothing", p.ID, p.Booking, p.Status)
		case payment.Cancelled, payment.Declined:
		}
	}
	for _, id := range strings.Fields(h.sql(`SELECT id FROM booking WHERE state IN ('booked','captured')`)) {
		b, err := h.Find(context.Background(), id)
		if err != nil {
			h.t.Fatal(err)
		}
		if got := captured[id]; len(got) != 1 || got[0].Amount != int64(len(b.Cells))*price || b.State != allocator.Captured {
			h.t.Errorf("I2: booking %s of %d cells is %s with payments %+v", id, len(b.Cells), b.State, got)
		}
		delete(captured, id)
	}
	for id, p := range captured {
		h.t.Errorf("I2: money was taken for %s, which is not booked: %+v", id, p)
	}
}

// checkLocks: I4 and I5, the locks show what the database says, and their counters
// are those of the locks.
func (h *hall) checkLocks() {
	h.t.Helper()
	ctx := context.Background()
	taken, err := h.store.Taken(ctx, h.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	prefix := "tickets:{e:" + h.Slug + "}:"
	own := h.redis.Client().HGetAll(ctx, prefix+"own").Val()
	booked := make(map[string]bool)
	for _, c := range taken {
		booked[c.Cell] = true
		if !strings.HasPrefix(own[c.Cell], "b") {
			h.t.Errorf("I4: %s is sold, and the locks say %q", c.Cell, own[c.Cell])
		}
	}
	held := 0
	for cell, owner := range own {
		if strings.HasPrefix(owner, "b") && !booked[cell] {
			h.t.Errorf("I4: %s is shown as sold and is not", cell)
		}
		if strings.HasPrefix(owner, "h") {
			held++
		}
	}
	counts, err := h.locks.Counts(ctx, h.Event)
	if err != nil {
		h.t.Fatal(err)
	}
	if counts.Held != held || counts.Booked != len(taken) || counts.Free+counts.Held+counts.Booked != h.Capacity {
		h.t.Errorf("I5: counts %+v with %d held and %d sold of %d", counts, held, len(taken), h.Capacity)
	}
	passes := 0
	for _, n := range h.redis.Client().HGetAll(ctx, prefix+"pass").Val() {
		var cells int
		_, _ = fmt.Sscan(n, &cells)
		passes += cells
	}
	if passes != held {
		h.t.Errorf("I5: the passes count %d cells, %d are held", passes, held)
	}
	for _, id := range h.redis.Client().ZRange(ctx, prefix+"exp", 0, -1).Val() {
		if h.redis.Client().HGet(ctx, prefix+"h:"+id, "state").Val() == "paying" {
			h.t.Errorf("I6: hold %s is paying when all is quiet", id)
		}
	}
}

// crowd runs n fans at once and returns what came of each.
func crowd[T any](n int, fan func(i int) (T, error)) (done []T, failed []error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			v, err := fan(i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, err)
			} else {
				done = append(done, v)
			}
		})
	}
	all.Wait()
	return done, failed
}

// sold are the cells that are sold, sorted.
func (h *hall) sold() []string {
	h.t.Helper()
	taken, err := h.store.Taken(context.Background(), h.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	cells := make(map[string]bool)
	for _, c := range taken {
		if c.Booked {
			cells[c.Cell] = true
		}
	}
	return slices.Sorted(maps.Keys(cells))
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}
