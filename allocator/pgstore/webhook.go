package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
)

// NoteWebhook implements allocator.Webhooks. Of many who note one webhook at once,
// one is told that it is new; nobody is, if the answer to that was lost.
func (s *Store) NoteWebhook(ctx context.Context, provider, eventID string) (fresh bool, err error) {
	err = s.write(ctx, "noting a webhook", func(ctx context.Context, conn *pgxpool.Conn) error {
		tag, err := conn.Exec(ctx, `INSERT INTO webhook (provider, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, provider, eventID)
		fresh = tag.RowsAffected() == 1
		return err
	})
	return fresh, err
}
