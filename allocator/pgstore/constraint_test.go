package pgstore_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/storetest"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// refused runs SQL that a constraint has to refuse, in a transaction of its own.
func refused(t *testing.T, conn *pgx.Conn, constraint, sql string, args ...any) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql, args...)
	var violation *pgconn.PgError
	if !errors.As(err, &violation) || violation.ConstraintName != constraint {
		t.Errorf("%s: got %v, want a violation of %s", sql, err, constraint)
	}
}

func done(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// I1 holds whatever any program does: these are not our statements.
func TestTheDatabaseItselfRefusesASecondClaim(t *testing.T) {
	t.Parallel()
	store, address := migrated(t, devstack.Postgres(t), pgstore.Options{})
	h := storetest.Build(t, store, 10)
	paying, sold := h.Claimed(t, 1), h.Booked(t, 2)
	other := h.Claimed(t, 3)
	conn := session(t, address)

	const insert = `INSERT INTO claim (booking_id, event_id, cell_id, status) VALUES ($1, $2, $3, $4)`
	for _, cell := range []string{paying.Cells[0], sold.Cells[0]} {
		for _, status := range []string{"PAYING", "BOOKED"} {
			refused(t, conn, "claim_one_live", insert, other.ID, h.ID, cell, status)
		}
	}
	// The literal last net, with the first one gone.
	done(t, conn, `DROP INDEX claim_one_live`)
	refused(t, conn, "claim_one_booked", insert, other.ID, h.ID, sold.Cells[0], "BOOKED")
	done(t, conn, insert, other.ID, h.ID, sold.Cells[0], "PAYING")
	refused(t, conn, "claim_one_booked", `UPDATE claim SET status = 'BOOKED' WHERE booking_id = $1 AND cell_id = $2`, other.ID, sold.Cells[0])
}

func TestTheDatabaseRefusesWhatMustNotBe(t *testing.T) {
	t.Parallel()
	store, address := migrated(t, devstack.Postgres(t), pgstore.Options{})
	h := storetest.Build(t, store, 10)
	sold, paying, over := h.Booked(t, 1), h.Claimed(t, 2), h.Claimed(t, 3)
	conn := session(t, address)
	if moved, err := store.Advance(t.Context(), over, allocator.Expired, allocator.Claimed); err != nil || !moved {
		t.Fatal(moved, err)
	}

	// What was sold or given back stays so.
	refused(t, conn, "claim_moves_forward", `UPDATE claim SET status = 'RELEASED' WHERE booking_id = $1`, sold.ID)
	refused(t, conn, "claim_moves_forward", `UPDATE claim SET status = 'PAYING' WHERE booking_id = $1`, over.ID)
	refused(t, conn, "booking_moves_forward", `UPDATE booking SET state = 'expired' WHERE id = $1`, sold.ID)
	refused(t, conn, "booking_moves_forward", `UPDATE booking SET state = 'authorising' WHERE id = $1`, over.ID)
	refused(t, conn, "booking_sold_is_paid", `UPDATE booking SET state = 'booked' WHERE id = $1`, paying.ID)
	// Live claims and the cells they are of.
	refused(t, conn, "claim_for_sale", `INSERT INTO claim (booking_id, event_id, cell_id, status) VALUES ($1, $2, $3, 'PAYING')`, paying.ID, h.ID, storetest.BlockedSeat)
	refused(t, conn, "claim_for_sale", `INSERT INTO claim (booking_id, event_id, cell_id, status) VALUES ($1, $2, 'nowhere', 'PAYING')`, paying.ID, h.ID)
	refused(t, conn, "claim_for_sale", `UPDATE cell SET blocked = true WHERE event_id = $1 AND id = $2`, h.ID, sold.Cells[0])
	refused(t, conn, "claim_for_sale", `DELETE FROM cell WHERE event_id = $1 AND id = $2`, h.ID, paying.Cells[0])
	done(t, conn, `UPDATE cell SET blocked = true WHERE event_id = $1 AND id = $2`, h.ID, over.Cells[0])
	// Texts that are no states.
	refused(t, conn, "claim_status", `INSERT INTO claim (booking_id, event_id, cell_id, status) VALUES ($1, $2, $3, 'HELD')`, paying.ID, h.ID, storetest.Seat(5))
	refused(t, conn, "event_phase", `UPDATE event SET phase = 'on sale'`)
	refused(t, conn, "event_epoch", `UPDATE event SET epoch = 8388608`) // its fences would be negative
	refused(t, conn, "outbox_kind", `INSERT INTO outbox (booking_id, kind) VALUES ($1, 'email')`, sold.ID)
	refused(t, conn, "outbox_once", `INSERT INTO outbox (booking_id, kind) VALUES ($1, 'capture')`, sold.ID)
	refused(t, conn, "idempotency_finished", `INSERT INTO idempotency (scope, key, fingerprint, locked_until, try, status)
		VALUES ('ada', 'k', sha256(''), now(), gen_random_uuid(), 200)`)
}
