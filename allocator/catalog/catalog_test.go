package catalog

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/internal/seatplan"
)

func TestAmountsAreReadExactly(t *testing.T) {
	for _, tt := range []struct {
		in, currency string
		want         int64
	}{
		{"45.00", "EUR", 4500}, {"45", "EUR", 4500}, {"45.5", "EUR", 4550}, {"0.29", "EUR", 29}, {"0", "EUR", 0},
		{"1.005", "KWD", 1005}, {"500", "JPY", 500}, {"1.2345", "CLF", 12345}, {"90000000000000", "JPY", 90000000000000},
	} {
		if got, err := ParseAmount(tt.in, tt.currency); err != nil || got != tt.want {
			t.Errorf("%s %s: got %d, %v, want %d", tt.in, tt.currency, got, err, tt.want)
		}
	}
	for _, tt := range [][2]string{
		{"", "EUR"}, {"-1", "EUR"}, {"+1", "EUR"}, {"1,5", "EUR"}, {"1.", "EUR"}, {".5", "EUR"}, {"1e3", "EUR"}, {"1 000", "EUR"}, {"0x10", "EUR"},
		{"1.005", "EUR"}, {"1.5", "JPY"}, {"99999999999999999999", "EUR"}, {"90071992547409.93", "EUR"},
		{"1", "eur"}, {"1", "EURO"}, {"1", "XXX"}, {"1", ""}, {"1", "UR "}, {"1", "٣"},
	} {
		if got, err := ParseAmount(tt[0], tt[1]); err == nil {
			t.Errorf("%q %q was read as %d", tt[0], tt[1], got)
		}
	}
}

func TestWrittenAmountsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minor := rapid.Int64Range(0, maxAmount).Draw(t, "minor")
		currency := rapid.SampledFrom([]string{"EUR", "JPY", "KWD", "CLF"}).Draw(t, "currency")
		amount, _, _ := strings.Cut(FormatAmount(minor, currency), " ")
		if got, err := ParseAmount(amount, currency); err != nil || got != minor {
			t.Fatalf("%d %s was written as %s and read as %d, %v", minor, currency, amount, got, err)
		}
	})
}

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
