package pgstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// maxReply bounds the body of a reply that is kept, in bytes.
const maxReply = 64 << 10

// reserveSQL takes a key that is free, whose lock has ended, or that this very call
// has taken before. Of many who come at once the primary key lets one in.
const reserveSQL = `INSERT INTO idempotency AS kept (scope, key, fingerprint, locked_until, try)
	VALUES ($1, $2, $3, now() + $4, $5)
	ON CONFLICT (scope, key) DO UPDATE SET locked_until = excluded.locked_until, try = excluded.try
	WHERE kept.status IS NULL AND kept.fingerprint = excluded.fingerprint
		AND (kept.locked_until <= now() OR kept.try = excluded.try)`

// Reserve implements allocator.Idempotency.
func (s *Store) Reserve(ctx context.Context, k allocator.IdempotencyKey, lock time.Duration) (reply *allocator.StoredReply, err error) {
	try := [16]byte(uuid.New())
	err = s.write(ctx, "reserving an idempotency key", func(ctx context.Context, conn *pgxpool.Conn) error {
		reply = nil
		tag, err := conn.Exec(ctx, reserveSQL, k.Scope, k.Key, k.Fingerprint[:], lock, try)
		if err != nil || tag.RowsAffected() == 1 {
			return err
		}
		reply, err = kept(ctx, conn, k)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// kept is the reply of a key that somebody else has taken.
func kept(ctx context.Context, conn *pgxpool.Conn, k allocator.IdempotencyKey) (*allocator.StoredReply, error) {
	var fingerprint, body []byte
	var status *int
	err := conn.QueryRow(ctx, `SELECT fingerprint, status, body FROM idempotency WHERE scope = $1 AND key = $2`, k.Scope, k.Key).
		Scan(&fingerprint, &status, &body)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, errAgain // given up meanwhile
	case err != nil:
		return nil, err
	case !bytes.Equal(fingerprint, k.Fingerprint[:]):
		return nil, allocator.ErrKeyMismatch
	case status == nil:
		return nil, allocator.ErrKeyInFlight
	}
	return &allocator.StoredReply{Status: *status, Body: body}, nil
}

// Finish implements allocator.Idempotency. The first reply stays: a try whose lock
// had ended and that comes back late changes nothing any more.
func (s *Store) Finish(ctx context.Context, k allocator.IdempotencyKey, r allocator.StoredReply) error {
	if len(r.Body) > maxReply {
		return fmt.Errorf("keeping a reply: it has %d bytes, more than %d", len(r.Body), maxReply)
	}
	body := r.Body
	if body == nil {
		body = []byte{} // NULL would mean that there is no reply
	}
	return s.exec(ctx, "keeping a reply", `INSERT INTO idempotency AS kept (scope, key, fingerprint, locked_until, try, status, body, finished_at)
		VALUES ($1, $2, $3, now(), $4, $5, $6, now())
		ON CONFLICT (scope, key) DO UPDATE SET status = excluded.status, body = excluded.body, finished_at = excluded.finished_at
		WHERE kept.status IS NULL AND kept.fingerprint = excluded.fingerprint`,
		k.Scope, k.Key, k.Fingerprint[:], [16]byte(uuid.New()), r.Status, body)
}

// Abandon implements allocator.Idempotency. A reply that is there stays.
func (s *Store) Abandon(ctx context.Context, k allocator.IdempotencyKey) error {
	return s.exec(ctx, "giving up an idempotency key",
		`DELETE FROM idempotency WHERE scope = $1 AND key = $2 AND fingerprint = $3 AND status IS NULL`, k.Scope, k.Key, k.Fingerprint[:])
}

// PruneReplies implements allocator.Idempotency. Tries that died as long ago go too.
func (s *Store) PruneReplies(ctx context.Context, age time.Duration, limit int) (n int, err error) {
	err = s.write(ctx, "forgetting old replies", func(ctx context.Context, conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, `DELETE FROM idempotency WHERE (scope, key) IN (
				SELECT scope, key FROM idempotency WHERE COALESCE(finished_at, locked_until) < now() - $1::interval
				ORDER BY COALESCE(finished_at, locked_until) LIMIT $2 FOR UPDATE SKIP LOCKED)`, age, limit)
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}
