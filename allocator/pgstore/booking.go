package pgstore

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Claim implements allocator.Store.
func (s *Store) Claim(ctx context.Context, b *allocator.Booking) error {
	return again(ctx, "claiming cells", func() error { return s.claim(ctx, b) })
}

// claimSQL writes booking and claims. A booking that is there already writes no
// claims; a cell that somebody else has a live claim on is left out, and the
// caller then undoes everything. The order of the cells is that of every claim.
const claimSQL = `WITH made AS (
	INSERT INTO booking (id, event_id, hold_id, holder, buyer_name, buyer_email, cells, fence, state, amount, currency, attempt, method, deadline, created_at, updated_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)
	ON CONFLICT (id) DO NOTHING RETURNING id
), taken AS (
	INSERT INTO claim (booking_id, event_id, cell_id, status)
	SELECT made.id, $2, wanted.cell_id, 'PAYING' FROM made, unnest($7::text[]) AS wanted (cell_id) ORDER BY wanted.cell_id
	ON CONFLICT (event_id, cell_id) WHERE status IN ('PAYING', 'BOOKED') DO NOTHING RETURNING cell_id
)
SELECT (SELECT count(*) FROM made) = 0, (SELECT coalesce(array_agg(cell_id), '{}') FROM taken)`

// errUndo takes a transaction back.
var errUndo = errors.New("taken back")

func (s *Store) claim(ctx context.Context, b *allocator.Booking) error {
	cells := slices.Sorted(slices.Values(b.Cells))
	var conflicts []string
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var known bool
		var got []string
		err := tx.QueryRow(ctx, claimSQL, b.ID, b.EventID, b.HoldID, b.Holder, b.Buyer.Name, b.Buyer.Email, cells, b.Fence, b.State,
			b.Amount.Amount, b.Amount.Currency, b.Attempt, b.Method, b.Deadline, b.CreatedAt).Scan(&known, &got)
		if err != nil || known {
			return err
		}
		for _, cell := range cells {
			if !slices.Contains(got, cell) {
				conflicts = append(conflicts, cell)
			}
		}
		if len(conflicts) > 0 {
			return errUndo
		}
		return nil
	})
	switch {
	case len(conflicts) > 0:
		return &allocator.ConflictError{Cells: conflicts}
	case err == nil:
		return nil
	}
	// The commit's answer may have been lost: the booking says whether it was made.
	if _, lookErr := s.Booking(ctx, b.ID); lookErr == nil {
		return nil
	}
	return err
}

// advanceSQL moves a booking, its claims and the orders that follow, all or none:
// it is one statement.
const advanceSQL = `WITH moved AS (
	UPDATE booking SET state = $2, attempt = $3, payment_id = $4, reason = $5, deadline = $6, updated_at = $7
	WHERE id = $1 AND state = ANY($8) RETURNING id
), claims AS (
	UPDATE claim SET status = $9 FROM moved WHERE $9 <> '' AND claim.booking_id = moved.id AND claim.status = 'PAYING'
), ordered AS (
	INSERT INTO outbox (kind, booking_id) SELECT kind, moved.id FROM moved, unnest($10::text[]) AS kind ON CONFLICT (booking_id, kind) DO NOTHING
)
SELECT count(*) FROM moved`

// follows is what a move does to the claims, and what it orders.
var follows = map[allocator.BookingState]struct {
	claims string
	orders []string
}{
	allocator.BookedState: {"BOOKED", []string{string(allocator.TaskMark), string(allocator.TaskCapture)}},
	allocator.Declined:    {"RELEASED", []string{string(allocator.TaskUnpay)}},
	allocator.Expired:     {"RELEASED", []string{string(allocator.TaskFree)}},
}

// Advance implements allocator.Store.
func (s *Store) Advance(ctx context.Context, b *allocator.Booking, to allocator.BookingState, from ...allocator.BookingState) (moved bool, err error) {
	then := follows[to]
	if then.orders == nil {
		then.orders = []string{}
	}
	err = again(ctx, "moving a booking", func() error {
		var n int
		err := s.pool.QueryRow(ctx, advanceSQL, b.ID, to, b.Attempt, b.PaymentID, b.Reason, b.Deadline, b.UpdatedAt, from, then.claims, then.orders).Scan(&n)
		moved = n > 0
		return err
	})
	return moved && err == nil, err
}

const bookingColumns = `b.id, b.event_id, e.slug, b.hold_id, b.holder, b.buyer_name, b.buyer_email, b.cells, b.fence, b.state, b.amount, b.currency,
	b.attempt, b.method, b.payment_id, b.reason, b.deadline, b.created_at, b.updated_at`

func scanBooking(row pgx.CollectableRow) (*allocator.Booking, error) {
	b := new(allocator.Booking)
	err := row.Scan(&b.ID, &b.EventID, &b.Event, &b.HoldID, &b.Holder, &b.Buyer.Name, &b.Buyer.Email, &b.Cells, &b.Fence, &b.State,
		&b.Amount.Amount, &b.Amount.Currency, &b.Attempt, &b.Method, &b.PaymentID, &b.Reason, &b.Deadline, &b.CreatedAt, &b.UpdatedAt)
	return b, err
}

// Booking implements allocator.Store.
func (s *Store) Booking(ctx context.Context, id string) (*allocator.Booking, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+bookingColumns+` FROM booking b JOIN event e ON e.id = b.event_id WHERE b.id = $1`, id)
	if err != nil {
		return nil, failed("reading a booking", err)
	}
	b, err := pgx.CollectExactlyOneRow(rows, scanBooking)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, allocator.ErrBookingUnknown
	}
	if err != nil {
		return nil, failed("reading a booking", err)
	}
	return b, nil
}

// Unfinished implements allocator.Store.
func (s *Store) Unfinished(ctx context.Context, olderThan time.Time, limit int) ([]*allocator.Booking, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+bookingColumns+` FROM booking b JOIN event e ON e.id = b.event_id
		WHERE b.state IN ('claimed', 'authorising') AND b.updated_at < $1 ORDER BY b.updated_at LIMIT $2`, olderThan, limit)
	if err != nil {
		return nil, failed("looking for unfinished bookings", err)
	}
	bookings, err := pgx.CollectRows(rows, scanBooking)
	return bookings, failed("looking for unfinished bookings", err)
}
