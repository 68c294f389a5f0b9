package pgstore_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/storetest"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// broken lists the promises that an audit found broken.
func broken(t *testing.T, store *pgstore.Store, slug string) []string {
	t.Helper()
	a, err := store.Audit(t.Context(), slug, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range a.Checks {
		if c.Broken > 0 {
			all = append(all, c.Promise)
		}
	}
	if a.Kept() != (len(all) == 0) {
		t.Errorf("the audit says that everything is kept: %v, with %q broken", a.Kept(), all)
	}
	return all
}

func TestAnAuditOfASoundSaleFindsNothing(t *testing.T) {
	t.Parallel()
	store, _ := migrated(t, devstack.Postgres(t), pgstore.Options{})
	h := storetest.Build(t, store, 10)
	h.Booked(t, 0, 1)
	h.Booked(t, 2)
	h.Claimed(t, 3)
	a, err := store.Audit(t.Context(), h.Slug, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if a.Capacity != 10 || a.Sold != 3 || a.Paying != 1 || a.Bookings != 2 || a.DoubleBooked() != 0 || !a.Kept() {
		t.Errorf("the audit says %+v", a)
	}
	if _, err := store.Audit(t.Context(), "nothing", time.Minute); !errors.Is(err, allocator.ErrEventUnknown) {
		t.Errorf("an unknown event was audited: %v", err)
	}
}

// TestAnAuditFindsWhatTheDatabaseShouldNeverHaveTaken takes the guards away and does
// what they are there to refuse.
func TestAnAuditFindsWhatTheDatabaseShouldNeverHaveTaken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sql  []string
		want []string
	}{
		"a seat that is sold twice": {
			[]string{`DROP INDEX claim_one_live`, `DROP INDEX claim_one_booked`,
				`UPDATE claim SET cell_id = 'A-0000' WHERE cell_id = 'A-0002'`},
			[]string{"no cell has two live claims", "no cell is sold twice"},
		},
		"a seat that is sold and being paid for": {
			[]string{`DROP INDEX claim_one_live`, `UPDATE claim SET cell_id = 'A-0000' WHERE cell_id = 'A-0003'`},
			[]string{"no cell has two live claims"},
		},
		"a sold seat of a booking that was declined": {
			[]string{`ALTER TABLE booking DISABLE TRIGGER USER`, `UPDATE booking SET state = 'declined' WHERE id = (SELECT booking_id FROM claim WHERE cell_id = 'A-0002')`},
			[]string{"every sold cell belongs to a paid booking"},
		},
		"a paid booking that lost a seat": {
			[]string{`ALTER TABLE claim DISABLE TRIGGER USER`, `UPDATE claim SET status = 'RELEASED' WHERE cell_id = 'A-0001'`},
			[]string{"every paid booking has all of its cells"},
		},
		"a sold booking whose capture was forgotten": {
			[]string{`DELETE FROM outbox WHERE kind = 'capture' AND booking_id = (SELECT booking_id FROM claim WHERE cell_id = 'A-0002')`},
			[]string{"the money of every sold booking is taken or on its way"},
		},
		"a payment that nobody ends": {
			[]string{`UPDATE booking SET deadline = now() - interval '2 minutes' WHERE state = 'claimed'`},
			[]string{"no payment is older than its deadline and a grace"},
		},
		"a seat that is sold and not for sale": {
			[]string{`ALTER TABLE claim DROP CONSTRAINT claim_for_sale`, `UPDATE cell SET blocked = true WHERE id = 'A-0002'`},
			[]string{"only cells that exist and are for sale are sold"},
		},
		"more seats sold than there are": {
			[]string{`ALTER TABLE claim DROP CONSTRAINT claim_for_sale`, `UPDATE cell SET blocked = true WHERE id NOT IN ('A-0000', 'A-0003')`},
			[]string{"no more is sold than there is", "only cells that exist and are for sale are sold"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, address := migrated(t, devstack.Postgres(t), pgstore.Options{})
			h := storetest.Build(t, store, 10)
			h.Booked(t, 0, 1)
			h.Booked(t, 2)
			h.Claimed(t, 3)
			conn := session(t, address)
			for _, sql := range tt.sql {
				if _, err := conn.Exec(t.Context(), sql); err != nil {
					t.Fatalf("%s: %v", sql, err)
				}
			}
			if got := broken(t, store, h.Slug); !slices.Equal(got, tt.want) {
				t.Errorf("the audit found %q, want %q", got, tt.want)
			}
		})
	}
}

func TestASoldOutStadiumIsAuditedInSeconds(t *testing.T) {
	t.Parallel()
	store, address := migrated(t, devstack.Postgres(t), pgstore.Options{})
	h := storetest.Build(t, store, 50_000)
	conn := session(t, address)
	for _, sql := range []string{
		`INSERT INTO booking (id, event_id, hold_id, holder, buyer_name, buyer_email, fence, state, amount, currency, payment_id, deadline, created_at, updated_at)
			SELECT 'b_' || n, event.id, 'h_' || n, 'v', 'Ada', 'ada@example.org', n, 'captured', 1, 'EUR', 'p', now(), now(), now() FROM event, generate_series(0, 24999) AS n`,
		`INSERT INTO claim (booking_id, event_id, cell_id, status)
			SELECT 'b_' || cell.ordinal / 2, event_id, cell.id, 'BOOKED' FROM cell WHERE NOT blocked`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	a, err := store.Audit(t.Context(), h.Slug, time.Minute)
	took := time.Since(begun)
	if err != nil || !a.Kept() || a.Sold != 50_000 || a.Bookings != 25_000 {
		t.Fatalf("the audit says %+v (%v)", a, err)
	}
	t.Logf("audited in %v", took.Round(time.Millisecond))
	if took > 15*time.Second {
		t.Errorf("auditing 50,000 sold cells took %v", took)
	}
}
