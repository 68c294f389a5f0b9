package catalog

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/internal/seatplan"
)

func stadium(t *testing.T) *seatplan.Plan {
	t.Helper()
	p, err := seatplan.Generate(seatplan.Ask{Seats: 900, Standing: 100})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func prices() map[string]int64 {
	return map[string]int64{"Category 1": 9000, "Category 2": 7000, "Category 3": 5000, "Category 4": 3000, "Standing": 4000}
}

func TestAnEventHasEveryCellOfItsPlanAtItsPrice(t *testing.T) {
	p := stadium(t)
	e, err := Event(p, Ask{Slug: "arena", Currency: "EUR", Prices: prices()})
	if err != nil {
		t.Fatal(err)
	}
	if e.Event.Capacity != 1000 || len(e.Cells) != 1000 || len(e.Event.LayoutHash) != 64 || e.Event.Phase != allocator.PhaseDraft {
		t.Errorf("got %+v with %d cells", e.Event, len(e.Cells))
	}
	if e.Event.Room != "arena" || e.Event.HoldTTL != 5*time.Minute || e.Event.MaxPerPass != 6 || e.Event.Name != p.Name {
		t.Errorf("defaults: got %+v", e.Event)
	}
	if last := e.Cells[999]; last.Area != "SA" || e.Categories[last.Category].Price != 4000 {
		t.Errorf("the last cell is %+v", last)
	}
}

func TestMistakesInAnEventAreFoundBeforeItIsCreated(t *testing.T) {
	p := stadium(t)
	for name, tt := range map[string]struct {
		change func(*Ask)
		want   string
	}{
		"a category without a price": {func(a *Ask) { delete(a.Prices, "Category 2") }, `"Category 2" has no price`},
		"a price without a category": {func(a *Ask) { a.Prices["Kategorie"] = 1 }, `no category "Kategorie"; it has Category 1`},
		"no currency":                {func(a *Ask) { a.Currency = "" }, "no currency"},
		"a slug with an underscore":  {func(a *Ask) { a.Slug = "a_b" }, "no event name"},
		"a slug too long":            {func(a *Ask) { a.Slug = strings.Repeat("a", 65) }, "no event name"},
		"a room with a brace":        {func(a *Ask) { a.Room = "{a}" }, "no room name"},
		"a hold of no time":          {func(a *Ask) { a.Hold = time.Millisecond }, "hold time"},
		"a hold of years":            {func(a *Ask) { a.Hold = 1e6 * time.Hour }, "hold time"},
		"fewer than one ticket":      {func(a *Ask) { a.MaxPerPass = -1 }, "per pass"},
	} {
		ask := Ask{Slug: "arena", Currency: "EUR", Prices: prices()}
		tt.change(&ask)
		if _, err := Event(p, ask); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}
