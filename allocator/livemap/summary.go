package livemap

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// Availability in one word, as fans are told it.
const (
	StateAvailable = "available"
	StateAllHeld   = "all-held" // nothing is free now; something may come back at NextReleaseAt
	StateSoldOut   = "sold-out"
	StateNotOpen   = "not-open"
)

// Summary is an event in numbers: for the waiting room and the shop's head.
type Summary struct {
	Event         string            `json:"event"`
	State         string            `json:"state"`
	Capacity      int               `json:"capacity"`
	Free          int               `json:"free"`
	Held          int               `json:"held"`
	Booked        int               `json:"booked"`
	NextReleaseAt *time.Time        `json:"nextReleaseAt"` // null unless something is held
	Currency      string            `json:"currency"`
	Categories    []CategorySummary `json:"categories"`
}

// CategorySummary is one price category in numbers.
type CategorySummary struct {
	Name     string `json:"name"`
	Price    int64  `json:"price"`
	Capacity int    `json:"capacity"`
	Free     int    `json:"free"`
	Held     int    `json:"held"`
}

func summarise(e *allocator.Event, categories []allocator.Category, c allocator.Counts) Summary {
	s := Summary{
		Event: e.Slug, State: StateSoldOut, Capacity: c.Free + c.Held + c.Booked,
		Free: c.Free, Held: c.Held, Booked: c.Booked, Currency: e.Currency, Categories: []CategorySummary{},
	}
	switch {
	case e.Phase != allocator.PhaseOpen:
		s.State = StateNotOpen
	case c.Free > 0:
		s.State = StateAvailable
	case c.Held > 0:
		s.State = StateAllHeld
	}
	if c.Held > 0 && !c.NextRelease.IsZero() {
		next := c.NextRelease.Truncate(time.Second) // finer would make every second a change
		s.NextReleaseAt = &next
	}
	for i, category := range categories {
		one := CategorySummary{Name: category.Name, Price: category.Price}
		if i < len(c.ByCategory) { // the last categories may have no cells
			n := c.ByCategory[i]
			one.Capacity, one.Free, one.Held = n.Free+n.Held+n.Booked, n.Free, n.Held
		}
		s.Categories = append(s.Categories, one)
	}
	return s
}

// count makes the summary anew and shows it to everybody if it changed.
func (f *feed) count(ctx context.Context) error {
	c, err := f.maps.deps.Source.Counts(ctx, f.event)
	if err != nil {
		return err
	}
	s := summarise(f.event, f.prices, c)
	document, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing summary: %w", err)
	}
	f.mu.Lock()
	f.counts = s
	f.mu.Unlock()
	f.channel.SetCounts(document)
	return nil
}

// Summary is how an event stands, at most a second old. It costs no call to
// any server while the event is followed, so refusals after the last seat is
// sold cost nothing. Errors as those of the handlers.
func (m *Maps) Summary(ctx context.Context, slug string) (Summary, error) {
	f, err := m.feed(ctx, slug)
	if err != nil {
		return Summary{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts, nil
}
