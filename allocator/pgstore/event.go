package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

const eventColumns = `id, slug, name, room, currency, phase, epoch, hold_ttl, pay_ttl, max_per_pass, capacity, layout_hash`

func toEvent(row pgx.CollectableRow) (*allocator.Event, error) {
	var e allocator.Event
	err := row.Scan(&e.ID, &e.Slug, &e.Name, &e.Room, &e.Currency, &e.Phase, &e.Epoch, &e.HoldTTL, &e.PayTTL, &e.MaxPerPass, &e.Capacity, &e.LayoutHash)
	return &e, err
}

// Events implements allocator.Store: oldest first.
func (s *Store) Events(ctx context.Context) ([]*allocator.Event, error) {
	return list(ctx, s, "listing the events", toEvent, `SELECT `+eventColumns+` FROM event ORDER BY id`)
}

// Event implements allocator.Store.
func (s *Store) Event(ctx context.Context, slug string) (*allocator.Event, error) {
	return s.oneEvent(ctx, s.read, "reading an event", `SELECT `+eventColumns+` FROM event WHERE slug = $1`, plain(slug))
}

// SetPhase implements allocator.Store. A sale may be closed and opened again, but
// what has been on sale is no draft any more.
func (s *Store) SetPhase(ctx context.Context, slug string, phase allocator.Phase) (*allocator.Event, error) {
	switch phase {
	case allocator.PhaseOpen, allocator.PhaseClosed:
	case allocator.PhaseDraft:
		return nil, errors.New("an event cannot go back to draft; close it instead")
	default:
		return nil, fmt.Errorf("%q is no phase of an event: open or closed", phase)
	}
	return s.oneEvent(ctx, s.write, "changing the phase of an event",
		`UPDATE event SET phase = $2 WHERE slug = $1 RETURNING `+eventColumns, plain(slug), phase)
}

// RaiseEpoch implements allocator.Store. When the answer is lost, it may have been
// raised although the repetition says that it was not.
func (s *Store) RaiseEpoch(ctx context.Context, eventID, from int64) (bool, error) {
	var raised, known bool
	err := s.write(ctx, "raising the epoch of an event", func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, `WITH raised AS (UPDATE event SET epoch = epoch + 1 WHERE id = $1 AND epoch = $2 RETURNING id)
			SELECT EXISTS (SELECT FROM raised), EXISTS (SELECT FROM event WHERE id = $1)`, eventID, from).Scan(&raised, &known)
	})
	if err == nil && !known {
		err = allocator.ErrEventUnknown
	}
	return raised, err
}

func (s *Store) oneEvent(ctx context.Context, how func(context.Context, string, work) error, doing, sql string, args ...any) (*allocator.Event, error) {
	var e *allocator.Event
	err := how(ctx, doing, func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		e, err = pgx.CollectExactlyOneRow(rows, toEvent)
		if errors.Is(err, pgx.ErrNoRows) {
			return allocator.ErrEventUnknown
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Cells implements allocator.Store. An event without cells is no event.
func (s *Store) Cells(ctx context.Context, eventID int64) ([]allocator.Cell, error) {
	return known(list(ctx, s, "reading the cells", func(row pgx.CollectableRow) (c allocator.Cell, err error) {
		err = row.Scan(&c.ID, &c.Ordinal, &c.Category, &c.Area, &c.Blocked)
		return c, err
	}, `SELECT id, ordinal, category, area, blocked FROM cell WHERE event_id = $1 ORDER BY ordinal`, eventID))
}

// Categories implements allocator.Store.
func (s *Store) Categories(ctx context.Context, eventID int64) ([]allocator.Category, error) {
	return known(list(ctx, s, "reading the categories", func(row pgx.CollectableRow) (c allocator.Category, err error) {
		err = row.Scan(&c.Name, &c.Color, &c.Price)
		return c, err
	}, `SELECT name, color, price FROM category WHERE event_id = $1 ORDER BY number`, eventID))
}

// Layout implements allocator.Store.
func (s *Store) Layout(ctx context.Context, eventID int64, hash string) ([]byte, error) {
	all, err := known(list(ctx, s, "reading a layout", pgx.RowTo[[]byte],
		`SELECT document FROM layout WHERE event_id = $1 AND hash = $2`, eventID, plain(hash)))
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// known makes no rows of an event mean that there is no such event.
func known[T any](rows []T, err error) ([]T, error) {
	if err == nil && len(rows) == 0 {
		return nil, allocator.ErrEventUnknown
	}
	return rows, err
}

// list reads all rows of a query.
func list[T any](ctx context.Context, s *Store, doing string, to pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	var all []T
	err := s.read(ctx, doing, func(ctx context.Context, conn *pgxpool.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, to)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}
