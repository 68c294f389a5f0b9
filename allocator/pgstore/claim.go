package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// maxCells is how many cells a booking may have.
const maxCells = 500

// errUsed says that a booking id belongs to another booking already.
var errUsed = errors.New("the booking id is used for another booking")

const (
	insertBooking = `INSERT INTO booking (id, event_id, hold_id, holder, buyer_name, buyer_email, fence, state, amount, currency,
			attempt, method, payment_id, reason, deadline, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`
	insertClaims = `INSERT INTO claim (booking_id, event_id, cell_id, status)
		SELECT $1, $2, cell, 'PAYING' FROM unnest($3::text[]) AS wanted (cell) ORDER BY cell COLLATE "C"`
)

// Claim implements allocator.Store. Booking and claims go to the server in one
// message and are committed by it together, or not at all: an index refuses a cell
// that is taken, and only then it is asked which ones those are.
func (s *Store) Claim(ctx context.Context, b *allocator.Booking) error {
	cells := slices.Sorted(slices.Values(b.Cells))
	if n := len(cells); n == 0 || n > maxCells || len(slices.Compact(slices.Clone(cells))) != n {
		return fmt.Errorf("claiming: a booking has 1 to %d cells, each once", maxCells)
	}
	return s.write(ctx, "claiming", func(ctx context.Context, conn *pgxpool.Conn) (err error) {
		for range closerLooks {
			if err = claimOrRefusal(ctx, conn, b, cells); !errors.Is(err, errAgain) {
				break
			}
		}
		return err
	})
}

// closerLooks is how often a claim is made at once again because the cells that
// stood in its way had been released when it was asked which ones they were.
const closerLooks = 10

func claimOrRefusal(ctx context.Context, conn *pgxpool.Conn, b *allocator.Booking, cells []string) error {
	err := claim(ctx, conn, b, cells)
	switch violated(err) {
	case "booking_pkey":
		return same(ctx, conn, b, cells)
	case "claim_one_live", "claim_for_sale":
		return refusal(ctx, conn, b.EventID, cells)
	}
	return err
}

func claim(ctx context.Context, conn *pgxpool.Conn, b *allocator.Booking, cells []string) error {
	var batch pgx.Batch // without BEGIN, a batch is a transaction of its own
	batch.Queue(insertBooking, b.ID, b.EventID, b.HoldID, b.Holder, b.Buyer.Name, b.Buyer.Email, b.Fence, allocator.Claimed,
		b.Amount.Amount, b.Amount.Currency, b.Attempt, b.Method, b.PaymentID, b.Reason, b.Deadline, b.CreatedAt, b.UpdatedAt)
	batch.Queue(insertClaims, b.ID, b.EventID, cells)
	return conn.SendBatch(ctx, &batch).Close()
}

// same says whether the booking that is there is the one that was to be made: then
// an earlier try was committed, whatever became of its answer.
func same(ctx context.Context, conn *pgxpool.Conn, b *allocator.Booking, cells []string) error {
	there, err := booking(ctx, conn, b.ID)
	switch {
	case err != nil:
		return err
	case there.EventID != b.EventID || there.HoldID != b.HoldID || there.Holder != b.Holder || !slices.Equal(there.Cells, cells):
		return errUsed
	}
	return nil
}

// refusal says which cells stood in the way, all of them. If none does any more,
// the claim is made again.
func refusal(ctx context.Context, conn *pgxpool.Conn, eventID int64, cells []string) error {
	rows, err := conn.Query(ctx, `SELECT wanted, cell.id IS NULL FROM unnest($2::text[]) AS wanted
		LEFT JOIN cell ON cell.event_id = $1 AND cell.id = wanted
		WHERE cell.id IS NULL OR cell.blocked OR EXISTS (
			SELECT FROM claim WHERE claim.event_id = $1 AND claim.cell_id = wanted AND claim.status IN ('PAYING', 'BOOKED'))
		ORDER BY wanted COLLATE "C"`, eventID, cells)
	if err != nil {
		return err
	}
	var conflict allocator.ConflictError
	var unknown, anyUnknown bool
	var cell string
	_, err = pgx.ForEachRow(rows, []any{&cell, &unknown}, func() error {
		conflict.Cells = append(conflict.Cells, cell)
		anyUnknown = anyUnknown || unknown
		return nil
	})
	switch {
	case err != nil:
		return err
	case anyUnknown:
		return allocator.ErrCellUnknown
	case len(conflict.Cells) == 0:
		return errAgain
	}
	return &conflict
}

// Taken implements allocator.Store.
func (s *Store) Taken(ctx context.Context, eventID int64) ([]allocator.Taken, error) {
	return list(ctx, s, "reading the live claims", func(row pgx.CollectableRow) (t allocator.Taken, err error) {
		err = row.Scan(&t.Cell, &t.HoldID, &t.Holder, &t.Booked, &t.Until)
		t.Until = t.Until.UTC()
		return t, err
	}, `SELECT claim.cell_id, booking.hold_id, booking.holder, claim.status = 'BOOKED', booking.deadline
		FROM claim JOIN booking ON booking.id = claim.booking_id
		WHERE claim.event_id = $1 AND claim.status IN ('PAYING', 'BOOKED') ORDER BY claim.cell_id`, eventID)
}
