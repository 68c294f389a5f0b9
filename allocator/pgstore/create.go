package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// createTimeout bounds the making of an event: 50,000 cells take about a second, on
// a busy disk a few.
const createTimeout = time.Minute

// CreateEvent implements allocator.Store: all of the event or nothing, in draft.
// After ErrUnavailable it may have been created; a repetition then says ErrEventExists.
func (s *Store) CreateEvent(ctx context.Context, n allocator.NewEvent) (*allocator.Event, error) {
	if len(n.Cells) == 0 || len(n.Categories) == 0 {
		return nil, fmt.Errorf("creating event %s: it has nothing to sell", n.Event.Slug)
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	var e *allocator.Event
	err := s.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
			e, err = create(ctx, tx, n)
			return err
		})
	})
	switch {
	case err == nil:
		return e, nil
	case violated(err) == "event_slug":
		return nil, allocator.ErrEventExists
	}
	return nil, failed("creating event "+n.Event.Slug, err)
}

func create(ctx context.Context, tx pgx.Tx, n allocator.NewEvent) (*allocator.Event, error) {
	if _, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true)`, milliseconds(createTimeout)); err != nil {
		return nil, err
	}
	e := n.Event
	rows, err := tx.Query(ctx, `INSERT INTO event (slug, name, room, currency, phase, epoch, hold_ttl, pay_ttl, max_per_pass, capacity, layout_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING `+eventColumns,
		e.Slug, e.Name, e.Room, e.Currency, allocator.PhaseDraft, max(1, e.Epoch), e.HoldTTL, e.PayTTL, e.MaxPerPass, forSale(n.Cells), e.LayoutHash)
	if err != nil {
		return nil, err
	}
	created, err := pgx.CollectExactlyOneRow(rows, toEvent)
	if err != nil {
		return nil, err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"category"}, []string{"event_id", "number", "name", "color", "price"},
		pgx.CopyFromSlice(len(n.Categories), func(i int) ([]any, error) {
			c := n.Categories[i]
			return []any{created.ID, i, c.Name, c.Color, c.Price}, nil
		}))
	if err != nil {
		return nil, err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"cell"}, []string{"event_id", "id", "ordinal", "category", "area", "blocked"},
		pgx.CopyFromSlice(len(n.Cells), func(i int) ([]any, error) {
			c := n.Cells[i]
			return []any{created.ID, c.ID, c.Ordinal, c.Category, c.Area, c.Blocked}, nil
		}))
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO layout (event_id, hash, document) VALUES ($1, $2, $3)`, created.ID, e.LayoutHash, n.Layout)
	return created, err
}

// forSale counts what can be sold.
func forSale(cells []allocator.Cell) (n int) {
	for _, c := range cells {
		if !c.Blocked {
			n++
		}
	}
	return n
}
