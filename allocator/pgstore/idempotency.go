package pgstore

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Reserve implements allocator.Idempotency. The insert decides between callers who
// come at once; one whose lock has ended is taken over.
func (s *Store) Reserve(ctx context.Context, k allocator.IdempotencyKey, lock time.Duration) (*allocator.StoredReply, error) {
	for range tries {
		tag, err := s.pool.Exec(ctx, `INSERT INTO idempotency AS kept (scope, key, fingerprint, locked_until)
			VALUES ($1, $2, $3, now() + $4::bigint * interval '1 millisecond')
			ON CONFLICT (scope, key) DO UPDATE SET locked_until = excluded.locked_until
			WHERE kept.status IS NULL AND kept.locked_until < now() AND kept.fingerprint = excluded.fingerprint`,
			k.Scope, k.Key, k.Fingerprint[:], lock.Milliseconds())
		if err != nil {
			return nil, failed("reserving an idempotency key", err)
		}
		if tag.RowsAffected() == 1 {
			return nil, nil //nolint:nilnil // reserved: there is no reply yet
		}
		reply, err := s.kept(ctx, k)
		if !errors.Is(err, pgx.ErrNoRows) {
			return reply, failed("reading a kept answer", err)
		} // it was given up in between
	}
	return nil, allocator.ErrKeyInFlight
}

func (s *Store) kept(ctx context.Context, k allocator.IdempotencyKey) (*allocator.StoredReply, error) {
	var fingerprint, body []byte
	var status *int
	err := s.pool.QueryRow(ctx, `SELECT fingerprint, status, body FROM idempotency WHERE scope = $1 AND key = $2`, k.Scope, k.Key).Scan(&fingerprint, &status, &body)
	switch {
	case err != nil:
		return nil, err
	case !bytes.Equal(fingerprint, k.Fingerprint[:]):
		return nil, allocator.ErrKeyMismatch
	case status == nil:
		return nil, allocator.ErrKeyInFlight
	}
	return &allocator.StoredReply{Status: *status, Body: body}, nil
}

// Finish implements allocator.Idempotency.
func (s *Store) Finish(ctx context.Context, k allocator.IdempotencyKey, r allocator.StoredReply) error {
	_, err := s.pool.Exec(ctx, `UPDATE idempotency SET status = $4, body = $5 WHERE scope = $1 AND key = $2 AND fingerprint = $3 AND status IS NULL`,
		k.Scope, k.Key, k.Fingerprint[:], r.Status, r.Body)
	return failed("keeping an answer", err)
}

// Abandon implements allocator.Idempotency.
func (s *Store) Abandon(ctx context.Context, k allocator.IdempotencyKey) error {
	_, err := s.pool.Exec(ctx, `DELETE FROM idempotency WHERE scope = $1 AND key = $2 AND fingerprint = $3 AND status IS NULL`, k.Scope, k.Key, k.Fingerprint[:])
	return failed("giving up an idempotency key", err)
}

// PruneReplies implements allocator.Idempotency.
func (s *Store) PruneReplies(ctx context.Context, age time.Duration, limit int) (int, error) {
	tag, err := s.pool.Exec(ctx, `DELETE FROM idempotency WHERE (scope, key) IN (
			SELECT scope, key FROM idempotency WHERE created_at < now() - $1::bigint * interval '1 millisecond' AND status IS NOT NULL
			ORDER BY created_at LIMIT $2)`, age.Milliseconds(), limit)
	if err != nil {
		return 0, failed("forgetting old answers", err)
	}
	return int(tag.RowsAffected()), nil
}
