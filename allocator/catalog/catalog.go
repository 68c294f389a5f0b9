// Package catalog makes an event out of a seating plan and prices: everything
// the store needs to create it, checked before anything is written.
package catalog

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/internal/money"
	"github.com/caddy-tickets/caddy-tickets/internal/seatplan"
)

// Defaults and limits of an event's rules.
const (
	DefaultHold       = 5 * time.Minute
	DefaultPay        = 10 * time.Minute
	DefaultMaxPerPass = 6

	minTime       = time.Second
	maxTime       = 24 * time.Hour
	maxMaxPerPass = 100 // cells in one hold request
	maxName       = 200
)

// Ask says what to sell. Zero times and limits mean the defaults.
type Ask struct {
	Slug       string
	Name       string // default: the plan's
	Room       string // default: the slug
	Currency   string
	Prices     map[string]int64 // of each category of the plan, by name, in minor units
	Hold, Pay  time.Duration
	MaxPerPass int
}

// slugs are parts of URLs, of keys and of hold ids, where "_" divides.
var slug = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)

// Event builds a new event from a sound plan.
func Event(p *seatplan.Plan, ask Ask) (allocator.NewEvent, error) {
	e := allocator.Event{
		Slug: ask.Slug, Name: orElse(ask.Name, p.Name), Room: orElse(ask.Room, ask.Slug), Currency: ask.Currency,
		Phase: allocator.PhaseDraft, Epoch: 1,
		HoldTTL: orElse(ask.Hold, DefaultHold), PayTTL: orElse(ask.Pay, DefaultPay),
		MaxPerPass: orElse(ask.MaxPerPass, DefaultMaxPerPass),
	}
	if e.Name == "" {
		e.Name = e.Slug
	}
	if err := check(&e); err != nil {
		return allocator.NewEvent{}, err
	}
	created := allocator.NewEvent{}
	var err error
	if created.Categories, err = priced(p, ask.Prices); err != nil {
		return allocator.NewEvent{}, err
	}
	if created.Layout, e.LayoutHash, err = p.Layout(); err != nil {
		return allocator.NewEvent{}, err
	}
	for _, c := range p.Cells() {
		created.Cells = append(created.Cells, allocator.Cell{ID: c.ID, Ordinal: c.Ordinal, Category: c.Category, Area: c.Area})
	}
	e.Capacity = len(created.Cells)
	created.Event = e
	return created, nil
}

func check(e *allocator.Event) error {
	if !slug.MatchString(e.Slug) {
		return fmt.Errorf("%q is no event name: 1 to 64 of a-z, 0-9 and inner hyphens", e.Slug)
	}
	if !slug.MatchString(e.Room) {
		return fmt.Errorf("%q is no room name: 1 to 64 of a-z, 0-9 and inner hyphens", e.Room)
	}
	if len(e.Name) > maxName {
		return fmt.Errorf("the title is longer than %d bytes", maxName)
	}
	if _, err := money.Exponent(e.Currency); err != nil {
		return err
	}
	for what, d := range map[string]time.Duration{"hold": e.HoldTTL, "pay": e.PayTTL} {
		if d < minTime || d > maxTime {
			return fmt.Errorf("a %s time of %v is not between %v and %v", what, d, minTime, maxTime)
		}
	}
	if e.MaxPerPass < 1 || e.MaxPerPass > maxMaxPerPass {
		return fmt.Errorf("%d tickets per pass is not between 1 and %d", e.MaxPerPass, maxMaxPerPass)
	}
	return nil
}

// priced gives every category of the plan its price. A category without a
// price and a price without a category are both mistakes that cost money.
func priced(p *seatplan.Plan, prices map[string]int64) ([]allocator.Category, error) {
	var errs []error
	categories := make([]allocator.Category, len(p.Categories))
	known := make([]string, len(p.Categories))
	for i, c := range p.Categories {
		price, ok := prices[c.Name]
		if !ok {
			errs = append(errs, fmt.Errorf("category %q has no price", c.Name))
		}
		categories[i] = allocator.Category{Name: c.Name, Color: c.Color, Price: price}
		known[i] = c.Name
	}
	for name := range prices {
		if !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("the plan has no category %q; it has %s", name, strings.Join(known, ", ")))
		}
	}
	return categories, errors.Join(errs...)
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
