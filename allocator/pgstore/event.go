package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

const eventColumns = `id, slug, name, room, currency, phase, epoch, hold_ms, pay_ms, max_per_pass, capacity, layout_hash`

func scanEvent(row pgx.CollectableRow) (*allocator.Event, error) {
	e := new(allocator.Event)
	var holdMs, payMs int64
	err := row.Scan(&e.ID, &e.Slug, &e.Name, &e.Room, &e.Currency, &e.Phase, &e.Epoch, &holdMs, &payMs, &e.MaxPerPass, &e.Capacity, &e.LayoutHash)
	e.HoldTTL, e.PayTTL = time.Duration(holdMs)*time.Millisecond, time.Duration(payMs)*time.Millisecond
	return e, err
}

// Events implements allocator.Store.
func (s *Store) Events(ctx context.Context) ([]*allocator.Event, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+eventColumns+` FROM event ORDER BY id`)
	if err != nil {
		return nil, failed("listing events", err)
	}
	events, err := pgx.CollectRows(rows, scanEvent)
	return events, failed("listing events", err)
}

// Event implements allocator.Store.
func (s *Store) Event(ctx context.Context, slug string) (*allocator.Event, error) {
	return s.oneEvent(ctx, "reading an event", `SELECT `+eventColumns+` FROM event WHERE slug = $1`, slug)
}

// SetPhase implements allocator.Store.
func (s *Store) SetPhase(ctx context.Context, slug string, phase allocator.Phase) (*allocator.Event, error) {
	return s.oneEvent(ctx, "changing the phase", `UPDATE event SET phase = $2 WHERE slug = $1 RETURNING `+eventColumns, slug, phase)
}

func (s *Store) oneEvent(ctx context.Context, doing, query string, args ...any) (*allocator.Event, error) {
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, failed(doing, err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEvent)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, allocator.ErrEventUnknown
	}
	if err != nil {
		return nil, failed(doing, err)
	}
	return e, nil
}

// Cells implements allocator.Store.
func (s *Store) Cells(ctx context.Context, eventID int64) ([]allocator.Cell, error) {
	rows, err := s.pool.Query(ctx, `SELECT cell_id, ordinal, category, area, blocked FROM cell WHERE event_id = $1 ORDER BY ordinal`, eventID)
	if err != nil {
		return nil, failed("reading the cells", err)
	}
	cells, err := pgx.CollectRows(rows, pgx.RowToStructByPos[allocator.Cell])
	return cells, failed("reading the cells", err)
}

// Categories implements allocator.Store.
func (s *Store) Categories(ctx context.Context, eventID int64) ([]allocator.Category, error) {
	rows, err := s.pool.Query(ctx, `SELECT name, color, price FROM category WHERE event_id = $1 ORDER BY index`, eventID)
	if err != nil {
		return nil, failed("reading the prices", err)
	}
	categories, err := pgx.CollectRows(rows, pgx.RowToStructByPos[allocator.Category])
	return categories, failed("reading the prices", err)
}

// Layout implements allocator.Store.
func (s *Store) Layout(ctx context.Context, eventID int64, hash string) ([]byte, error) {
	var document []byte
	err := s.pool.QueryRow(ctx, `SELECT document FROM layout WHERE event_id = $1 AND hash = $2`, eventID, hash).Scan(&document)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, allocator.ErrEventUnknown
	}
	return document, failed("reading the layout", err)
}

// CreateEvent implements allocator.Store: all of it or nothing.
func (s *Store) CreateEvent(ctx context.Context, n allocator.NewEvent) (*allocator.Event, error) {
	e := n.Event
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `INSERT INTO event (slug, name, room, currency, phase, epoch, hold_ms, pay_ms, max_per_pass, capacity, layout_hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id`,
			e.Slug, e.Name, e.Room, e.Currency, e.Phase, e.Epoch, e.HoldTTL.Milliseconds(), e.PayTTL.Milliseconds(), e.MaxPerPass, e.Capacity, e.LayoutHash).Scan(&e.ID)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO layout (event_id, hash, document) VALUES ($1, $2, $3)`, e.ID, e.LayoutHash, n.Layout); err != nil {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"category"}, []string{"event_id", "index", "name", "color", "price"},
			pgx.CopyFromSlice(len(n.Categories), func(i int) ([]any, error) {
				c := n.Categories[i]
				return []any{e.ID, i, c.Name, c.Color, c.Price}, nil
			}))
		if err != nil {
			return err
		}
		_, err = tx.CopyFrom(ctx, pgx.Identifier{"cell"}, []string{"event_id", "cell_id", "ordinal", "category", "area", "blocked"},
			pgx.CopyFromSlice(len(n.Cells), func(i int) ([]any, error) {
				c := n.Cells[i]
				return []any{e.ID, c.ID, c.Ordinal, c.Category, c.Area, c.Blocked}, nil
			}))
		return err
	})
	if violates(err, "event_slug_is_unique") {
		return nil, allocator.ErrEventExists
	}
	if err != nil {
		return nil, failed("creating the event", err)
	}
	return &e, nil
}

// BumpEpoch implements allocator.Store.
func (s *Store) BumpEpoch(ctx context.Context, eventID int64) (int64, error) {
	var epoch int64
	err := s.pool.QueryRow(ctx, `UPDATE event SET epoch = epoch + 1 WHERE id = $1 RETURNING epoch`, eventID).Scan(&epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, allocator.ErrEventUnknown
	}
	return epoch, failed("raising the epoch", err)
}

// Taken implements allocator.Store.
func (s *Store) Taken(ctx context.Context, eventID int64) ([]allocator.Taken, error) {
	rows, err := s.pool.Query(ctx, `SELECT c.cell_id, b.hold_id, b.holder, c.status = 'BOOKED', b.deadline
		FROM claim c JOIN booking b ON b.id = c.booking_id
		WHERE c.event_id = $1 AND c.status IN ('PAYING', 'BOOKED') ORDER BY c.cell_id`, eventID)
	if err != nil {
		return nil, failed("reading the claims", err)
	}
	taken, err := pgx.CollectRows(rows, pgx.RowToStructByPos[allocator.Taken])
	if err != nil {
		return nil, failed("reading the claims", fmt.Errorf("of event %d: %w", eventID, err))
	}
	return taken, nil
}
