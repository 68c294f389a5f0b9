package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Audit is what the database says of one event at one moment: how it stands, and
// whether the promises that can be checked here are kept.
type Audit struct {
	Event    string  `json:"event"`
	Capacity int     `json:"capacity"`
	Sold     int     `json:"sold"`   // cells
	Paying   int     `json:"paying"` // cells that are being paid for
	Bookings int     `json:"bookings"`
	Checks   []Check `json:"checks"`
}

// Check is one promise. Broken counts what breaks it: 0 is good.
type Check struct {
	ID      string `json:"id"` // as in the documentation: I1, I2, …
	Promise string `json:"promise"`
	Broken  int    `json:"broken"`
}

// Kept says whether every promise is.
func (a *Audit) Kept() bool {
	for _, c := range a.Checks {
		if c.Broken > 0 {
			return false
		}
	}
	return true
}

// DoubleBooked is the number of cells that were sold more than once.
func (a *Audit) DoubleBooked() int {
	for _, c := range a.Checks {
		if c.Promise == soldOnce {
			return c.Broken
		}
	}
	return 0
}

const (
	soldOnce = "no cell is sold twice"
	// captureWithin is how long a sold booking may wait for its capture before it
	// is somebody's business.
	captureWithin = 10 * time.Minute
	// auditTimeout bounds it all: 50,000 sold cells take 0.2 s.
	auditTimeout = time.Minute
)

// checks count what breaks a promise: $1 is the event, $2 the grace, $3 captureWithin.
// They join whole tables: a subquery for each row takes a minute for a stadium.
var checks = []struct{ id, promise, sql string }{
	{"I1", "no cell has two live claims", `SELECT count(*) FROM (
		SELECT FROM claim WHERE event_id = $1 AND status IN ('PAYING', 'BOOKED') GROUP BY cell_id HAVING count(*) > 1) AS twice`},
	{"I1", soldOnce, `SELECT count(*) FROM (
		SELECT FROM claim WHERE event_id = $1 AND status = 'BOOKED' GROUP BY cell_id HAVING count(*) > 1) AS twice`},
	{"I2", "every sold cell belongs to a paid booking", `SELECT count(*) FROM claim JOIN booking ON booking.id = claim.booking_id
		WHERE claim.event_id = $1 AND claim.status = 'BOOKED' AND booking.state NOT IN ('booked', 'captured', 'attention')`},
	{"I2", "every paid booking has all of its cells", `SELECT count(*) FROM booking LEFT JOIN (
			SELECT booking_id, count(*) FILTER (WHERE status <> 'BOOKED') AS lost FROM claim WHERE event_id = $1 GROUP BY booking_id
		) AS cells ON cells.booking_id = booking.id
		WHERE event_id = $1 AND state IN ('booked', 'captured', 'attention') AND (cells.booking_id IS NULL OR lost > 0)`},
	{"I2", "the money of every sold booking is taken or on its way", `SELECT count(*) FROM booking
		LEFT JOIN outbox ON outbox.booking_id = booking.id AND outbox.kind = 'capture'
		WHERE event_id = $1 AND state = 'booked' AND (updated_at < now() - $3::interval OR outbox.id IS NULL)`},
	{"I6", "no payment is older than its deadline and a grace", `SELECT count(*) FROM booking
		WHERE event_id = $1 AND state IN ('claimed', 'authorising') AND deadline < now() - $2::interval`},
	{"I7", "no more is sold than there is", `SELECT greatest(0, (SELECT count(*) FROM claim WHERE event_id = $1 AND status = 'BOOKED')
		- (SELECT count(*) FROM cell WHERE event_id = $1 AND NOT blocked))`},
	{"I7", "only cells that exist and are for sale are sold", `SELECT count(*) FROM claim
		LEFT JOIN cell ON cell.event_id = claim.event_id AND cell.id = claim.cell_id
		WHERE claim.event_id = $1 AND claim.status IN ('PAYING', 'BOOKED') AND (cell.id IS NULL OR cell.blocked)`},
}

// Audit checks an event on one snapshot of the database. Grace is how long recovery
// may take over a payment whose deadline has passed. It reads the tables and not
// their indexes: an index that lies would hide what it let through.
func (s *Store) Audit(ctx context.Context, slug string, grace time.Duration) (*Audit, error) {
	e, err := s.Event(ctx, slug)
	if err != nil {
		return nil, err
	}
	a := &Audit{Event: e.Slug, Capacity: e.Capacity}
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	err = s.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
		return pgx.BeginTxFunc(ctx, conn, snapshot, func(tx pgx.Tx) error { return a.fill(ctx, tx, e.ID, grace) })
	})
	if err != nil {
		return nil, failed("auditing event "+slug, err)
	}
	return a, nil
}

func (a *Audit) fill(ctx context.Context, tx pgx.Tx, eventID int64, grace time.Duration) error {
	// Without indexes a nested loop would read one table for each row of another.
	for _, plan := range []string{"enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan", "enable_nestloop"} {
		if _, err := tx.Exec(ctx, `SET LOCAL `+plan+` = off`); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true)`, milliseconds(auditTimeout)); err != nil {
		return err
	}
	err := tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE status = 'BOOKED'), count(*) FILTER (WHERE status = 'PAYING'),
		(SELECT count(*) FROM booking WHERE event_id = $1 AND state IN ('booked', 'captured', 'attention'))
		FROM claim WHERE event_id = $1`, eventID).Scan(&a.Sold, &a.Paying, &a.Bookings)
	if err != nil {
		return err
	}
	for _, c := range checks {
		check := Check{ID: c.id, Promise: c.promise}
		// The parameters that a check does not mention are given a type all the same.
		sql := `WITH used AS (SELECT $1::bigint, $2::interval, $3::interval) ` + c.sql
		if err := tx.QueryRow(ctx, sql, eventID, grace, captureWithin).Scan(&check.Broken); err != nil {
			return fmt.Errorf("checking that %s: %w", c.promise, err)
		}
		a.Checks = append(a.Checks, check)
	}
	return nil
}
