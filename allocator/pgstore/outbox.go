package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Lease implements allocator.Outbox.
func (s *Store) Lease(ctx context.Context, limit int, lease time.Duration) ([]allocator.Task, error) {
	rows, err := s.pool.Query(ctx, `WITH due AS (
			SELECT id FROM outbox WHERE due_at <= now() ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED
		)
		UPDATE outbox SET due_at = now() + $2::bigint * interval '1 millisecond', attempts = attempts + 1 FROM due WHERE outbox.id = due.id
		RETURNING outbox.id, outbox.kind, outbox.booking_id, outbox.attempts - 1`, limit, lease.Milliseconds())
	if err != nil {
		return nil, failed("leasing tasks", err)
	}
	tasks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[allocator.Task])
	return tasks, failed("leasing tasks", err)
}

// Done implements allocator.Outbox.
func (s *Store) Done(ctx context.Context, id int64) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM outbox WHERE id = $1`, id)
	return failed("removing a task", err)
}

// maxReason bounds what is kept of an error, in bytes.
const maxReason = 500

// Retry implements allocator.Outbox.
func (s *Store) Retry(ctx context.Context, id int64, after time.Duration, reason string) error {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	_, err := s.pool.Exec(ctx, `UPDATE outbox SET due_at = now() + $2::bigint * interval '1 millisecond', reason = $3 WHERE id = $1`,
		id, after.Milliseconds(), reason)
	return failed("putting a task back", err)
}

// NoteWebhook implements allocator.Webhooks.
func (s *Store) NoteWebhook(ctx context.Context, provider, eventID string) (fresh bool, err error) {
	tag, err := s.pool.Exec(ctx, `INSERT INTO webhook (provider, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, provider, eventID)
	if err != nil {
		return false, failed("noting a webhook", err)
	}
	return tag.RowsAffected() == 1, nil
}
