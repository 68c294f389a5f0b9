package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

const selectBooking = `SELECT b.id, b.event_id, e.slug, b.hold_id, b.holder, b.buyer_name, b.buyer_email,
		ARRAY(SELECT c.cell_id FROM claim c WHERE c.booking_id = b.id ORDER BY c.cell_id),
		b.fence, b.state, b.amount, b.currency, b.attempt, b.method, b.payment_id, b.reason, b.deadline, b.created_at, b.updated_at
	FROM booking b JOIN event e ON e.id = b.event_id `

func toBooking(row pgx.CollectableRow) (*allocator.Booking, error) {
	var b allocator.Booking
	err := row.Scan(&b.ID, &b.EventID, &b.Event, &b.HoldID, &b.Holder, &b.Buyer.Name, &b.Buyer.Email, &b.Cells,
		&b.Fence, &b.State, &b.Amount.Amount, &b.Amount.Currency, &b.Attempt, &b.Method, &b.PaymentID, &b.Reason, &b.Deadline, &b.CreatedAt, &b.UpdatedAt)
	b.Deadline, b.CreatedAt, b.UpdatedAt = b.Deadline.UTC(), b.CreatedAt.UTC(), b.UpdatedAt.UTC()
	return &b, err
}

// Booking implements allocator.Store.
func (s *Store) Booking(ctx context.Context, id string) (b *allocator.Booking, err error) {
	err = s.read(ctx, "reading a booking", func(ctx context.Context, conn *pgxpool.Conn) error {
		b, err = booking(ctx, conn, plain(id))
		return err
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// BookingOfHold implements allocator.Store.
func (s *Store) BookingOfHold(ctx context.Context, holdID, holder string) (b *allocator.Booking, err error) {
	err = s.read(ctx, "looking for the booking of a hold", func(ctx context.Context, conn *pgxpool.Conn) error {
		b, err = oneBooking(ctx, conn, `WHERE b.hold_id = $1 AND b.holder = $2 AND b.state IN ('booked', 'captured', 'attention')
			ORDER BY b.created_at, b.id LIMIT 1`, plain(holdID), plain(holder))
		return err
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

func booking(ctx context.Context, conn *pgxpool.Conn, id string) (*allocator.Booking, error) {
	return oneBooking(ctx, conn, `WHERE b.id = $1`, id)
}

func oneBooking(ctx context.Context, conn *pgxpool.Conn, which string, args ...any) (*allocator.Booking, error) {
	rows, err := conn.Query(ctx, selectBooking+which, args...)
	if err != nil {
		return nil, err
	}
	b, err := pgx.CollectExactlyOneRow(rows, toBooking)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, allocator.ErrBookingUnknown
	}
	return b, err
}

// Unfinished implements allocator.Store.
func (s *Store) Unfinished(ctx context.Context, olderThan time.Time, limit int) ([]*allocator.Booking, error) {
	return list(ctx, s, "looking for unfinished bookings", toBooking,
		selectBooking+`WHERE b.state IN ('claimed', 'authorising') AND b.updated_at < $1 ORDER BY b.updated_at, b.id LIMIT $2`, olderThan, limit)
}

// advanceSQL is all of a move: the booking, its claims, the tasks that follow. It is
// one statement, so that it costs one round trip and cannot stop half-way. Whoever
// comes second waits for the booking's row and finds its state changed.
const advanceSQL = `WITH moved AS (
		UPDATE booking SET state = $3, attempt = $4, method = $5, payment_id = $6, reason = $7, deadline = $8, updated_at = $9, move = $10
		WHERE id = $1 AND state = ANY ($2) RETURNING id
	), claims AS (
		UPDATE claim SET status = $11 FROM moved WHERE claim.booking_id = moved.id AND claim.status = 'PAYING' AND $11 <> 'PAYING'
	), tasks AS (
		INSERT INTO outbox (booking_id, kind) SELECT moved.id, kind FROM moved, unnest($12::text[]) WITH ORDINALITY AS t (kind, place) ORDER BY place
	)
	SELECT count(*) FROM moved`

// consequence is what a move to a state does besides.
type consequence struct {
	claims string // their new status
	tasks  []string
}

var consequences = map[allocator.BookingState]consequence{
	allocator.Claimed:     {claims: "PAYING"},
	allocator.Authorising: {claims: "PAYING"},
	allocator.BookedState: {claims: "BOOKED", tasks: []string{string(allocator.TaskMark), string(allocator.TaskCapture)}},
	allocator.Declined:    {claims: "RELEASED", tasks: []string{string(allocator.TaskUnpay)}},
	allocator.Expired:     {claims: "RELEASED", tasks: []string{string(allocator.TaskFree)}},
	allocator.Captured:    {claims: "BOOKED"},
	allocator.Attention:   {claims: "BOOKED"},
}

// Advance implements allocator.Store.
func (s *Store) Advance(ctx context.Context, b *allocator.Booking, to allocator.BookingState, from ...allocator.BookingState) (moved bool, err error) {
	states := make([]string, len(from))
	for i, state := range from {
		states[i] = string(state)
	}
	follows := consequences[to]
	move := [16]byte(uuid.New())
	tries := 0
	err = s.write(ctx, "moving a booking to "+string(to), func(ctx context.Context, conn *pgxpool.Conn) error {
		tries++
		var n int
		err := conn.QueryRow(ctx, advanceSQL, b.ID, states, to, b.Attempt, b.Method, b.PaymentID, b.Reason, b.Deadline, b.UpdatedAt, move,
			follows.claims, follows.tasks).Scan(&n)
		moved = n > 0
		if err != nil || moved || tries == 1 {
			return err
		}
		// An earlier try may have been committed and only its answer lost.
		return conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM booking WHERE id = $1 AND move = $2)`, b.ID, move).Scan(&moved)
	})
	return moved && err == nil, err
}
