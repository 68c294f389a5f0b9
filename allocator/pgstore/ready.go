package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

// Ready implements allocator.Store. A database that is newer than this program is
// fine: that is how a rolling update begins.
func (s *Store) Ready(ctx context.Context) error {
	needed, err := migrations.Needed()
	if err != nil {
		return err
	}
	var readOnly bool
	var commit string
	var missing int
	err = s.read(ctx, "asking whether the database is ready", func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
				current_setting('synchronous_commit'),
				(SELECT count(*) FROM unnest($1::bigint[]) AS needed (version)
				 WHERE NOT EXISTS (SELECT FROM `+migrations.VersionTable+` AS v WHERE v.version_id = needed.version AND v.is_applied))`,
			needed).Scan(&readOnly, &commit, &missing)
	})
	switch {
	case err != nil:
		return err
	case readOnly:
		return fmt.Errorf("%w: the database cannot be written to; it is a standby or was made read-only", allocator.ErrUnavailable)
	case missing > 0:
		return fmt.Errorf("the database lacks %d of %d migrations; run: caddy-tickets migrate up", missing, len(needed))
	case commit == "off":
		// An acknowledged booking would be lost with the server's next crash (I3).
		return errors.New("synchronous_commit is off for this user; set it to on")
	}
	return nil
}
