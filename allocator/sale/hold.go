package sale

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Want is what a fan would like to have: cells by id, or a number of units of a
// standing area.
type Want struct {
	Cells    []string
	Area     string
	Quantity int
	Limit    int // cells that the fan's pass allows at once; 0 leaves it to the event
}

// Held is a hold with what it would cost.
type Held struct {
	allocator.Hold
	Total allocator.Money
}

// ids is the name space of everything derived from an idempotency key (RFC 9562,
// version 5); a random UUID, never to be changed.
var ids = uuid.MustParse("6f0f3a0e-7c0e-4a53-9a1c-0d5f6d0c9d35")

// derived is an id that the same caller finds again with the same key. The parts
// are quoted, so that none can run into the next.
func derived(parts ...string) string {
	return uuid.NewSHA1(ids, fmt.Appendf(nil, "%q", parts)).String()
}

// HoldID is the id of the hold that a holder makes with an idempotency key: a
// repeated request finds its own hold in the locks, without a database.
func HoldID(slug, holder, key string) string {
	return "h_" + slug + "_" + derived("hold", slug, holder, key)
}

// SlugOf is the event that a hold id belongs to; false if it is none.
func SlugOf(holdID string) (slug string, ok bool) {
	rest, ok := strings.CutPrefix(holdID, "h_")
	if !ok {
		return "", false
	}
	slug, id, ok := strings.Cut(rest, "_")
	if !ok || slug == "" || uuid.Validate(id) != nil || len(id) != 36 {
		return "", false
	}
	return slug, true
}

// Hold locks what a fan wants, all or nothing, for the event's hold time.
// Repeating it with the same key returns the same hold. Errors: those of
// Locks.Hold, ErrEventUnknown, ErrNotOpen, ErrKeyMismatch.
func (s *Sale) Hold(ctx context.Context, slug, holder, key string, want Want) (Held, error) {
	e, err := s.Event(ctx, slug)
	if err != nil {
		return Held{}, err
	}
	if e.Phase != allocator.PhaseOpen {
		return Held{}, allocator.ErrNotOpen
	}
	if s.deps.SoldOut(ctx, slug) {
		s.metrics.holds.WithLabelValues("sold-out").Inc()
		return Held{}, allocator.ErrSoldOut
	}
	cells := slices.Compact(slices.Sorted(slices.Values(want.Cells)))
	var h allocator.Hold
	err = s.withLocks(ctx, e, func(e *allocator.Event) error {
		h, err = s.deps.Locks.Hold(ctx, allocator.HoldRequest{
			Event: limited(e, want.Limit), HoldID: HoldID(slug, holder, key), Holder: holder,
			Cells: cells, Area: want.Area, Quantity: want.Quantity,
		})
		return err
	})
	s.metrics.holds.WithLabelValues(outcome(err)).Inc()
	if err != nil {
		return Held{}, err
	}
	if !matches(h, cells, want) {
		return Held{}, allocator.ErrKeyMismatch
	}
	return s.priced(ctx, e, h)
}

// limited is the event as a pass with a limit of its own sees it.
func limited(e *allocator.Event, limit int) *allocator.Event {
	if limit <= 0 || limit >= e.MaxPerPass {
		return e
	}
	own := *e
	own.MaxPerPass = limit
	return &own
}

// matches says whether a hold is what was asked for: the key may have been used
// before, for something else. The locks have compared the area.
func matches(h allocator.Hold, cells []string, want Want) bool {
	if want.Area != "" {
		return len(h.Cells) == want.Quantity
	}
	return slices.Equal(slices.Sorted(slices.Values(h.Cells)), cells)
}

func (s *Sale) priced(ctx context.Context, e *allocator.Event, h allocator.Hold) (Held, error) {
	prices, err := s.Categories(ctx, e)
	if err != nil {
		return Held{}, err
	}
	total := allocator.Money{Currency: e.Currency}
	for _, category := range h.Category {
		if category < 0 || category >= len(prices) {
			return Held{}, fmt.Errorf("hold %s is of category %d, and the event has %d", h.ID, category, len(prices))
		}
		total.Amount += prices[category].Price
	}
	return Held{h, total}, nil
}

// BookedError says that a hold is over because its holder has bought its cells.
type BookedError struct{ Booking string }

func (e *BookedError) Error() string { return "the hold was booked as " + e.Booking }

// over says why a hold is over. The locks only know that it is; if it was sold, the
// database does.
func (s *Sale) over(ctx context.Context, holdID, holder string, err error) error {
	if !errors.Is(err, allocator.ErrHoldExpired) && !errors.Is(err, allocator.ErrHoldUnknown) {
		return err
	}
	return s.sold(ctx, holdID, holder, err)
}

// sold is a BookedError if a hold was sold, or else the error that it is given.
func (s *Sale) sold(ctx context.Context, holdID, holder string, otherwise error) error {
	b, err := s.deps.Store.BookingOfHold(ctx, holdID, holder)
	switch {
	case errors.Is(err, allocator.ErrBookingUnknown):
		return otherwise
	case err != nil:
		return err
	}
	return &BookedError{b.ID}
}

// GetHold returns a holder's own hold. Errors: ErrHoldUnknown, ErrHoldExpired,
// ErrHoldNotYours, *BookedError.
func (s *Sale) GetHold(ctx context.Context, holdID, holder string) (Held, error) {
	e, err := s.eventOf(ctx, holdID)
	if err != nil {
		return Held{}, err
	}
	var h allocator.Hold
	err = s.withLocks(ctx, e, func(e *allocator.Event) error {
		h, err = s.deps.Locks.Get(ctx, e, holdID, holder)
		return err
	})
	if err != nil {
		return Held{}, s.over(ctx, holdID, holder, err)
	}
	return s.priced(ctx, e, h)
}

// Release gives a hold's cells back. One that is gone or being paid for is no error.
func (s *Sale) Release(ctx context.Context, holdID, holder string) error {
	e, err := s.eventOf(ctx, holdID)
	if err != nil {
		return err
	}
	return s.withLocks(ctx, e, func(e *allocator.Event) error {
		return s.deps.Locks.Release(ctx, e, holdID, holder)
	})
}

// eventOf is the event of a hold; an id that is none belongs to no hold.
func (s *Sale) eventOf(ctx context.Context, holdID string) (*allocator.Event, error) {
	slug, ok := SlugOf(holdID)
	if !ok {
		return nil, allocator.ErrHoldUnknown
	}
	e, err := s.Event(ctx, slug)
	if errors.Is(err, allocator.ErrEventUnknown) {
		return nil, allocator.ErrHoldUnknown
	}
	return e, err
}
