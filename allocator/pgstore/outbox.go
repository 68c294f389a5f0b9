package pgstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Lease implements allocator.Outbox. Rows that another worker is taking are passed
// over instead of waited for. Times are the database's.
func (s *Store) Lease(ctx context.Context, limit int, lease time.Duration) ([]allocator.Task, error) {
	var tasks []allocator.Task
	err := s.write(ctx, "leasing tasks", func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, `WITH due AS MATERIALIZED (
				SELECT id FROM outbox WHERE due_at <= now() ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED
			)
			UPDATE outbox SET due_at = now() + $2, attempts = attempts + 1 FROM due WHERE outbox.id = due.id
			RETURNING outbox.id, kind, booking_id, attempts - 1`, limit, lease)
		if err != nil {
			return err
		}
		tasks, err = pgx.CollectRows(rows, pgx.RowToStructByPos[allocator.Task])
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tasks, func(a, b allocator.Task) int { return cmp.Compare(a.ID, b.ID) })
	return tasks, nil
}

// Done implements allocator.Outbox.
func (s *Store) Done(ctx context.Context, id int64) error {
	return s.exec(ctx, "removing a task", `DELETE FROM outbox WHERE id = $1`, id)
}

// maxReason bounds what is kept of an error, in bytes.
const maxReason = 1000

// Retry implements allocator.Outbox. A task that is gone is no error.
func (s *Store) Retry(ctx context.Context, id int64, after time.Duration, reason string) error {
	return s.exec(ctx, "putting a task back", `UPDATE outbox SET due_at = now() + $2, reason = $3 WHERE id = $1`, id, after, short(reason, maxReason))
}

// exec runs a statement whose result does not matter.
func (s *Store) exec(ctx context.Context, doing, sql string, args ...any) error {
	return s.write(ctx, doing, func(ctx context.Context, conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
}
