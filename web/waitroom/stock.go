package waitroompage

import (
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/money"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// stock is what fans read about tickets while they wait. Nothing is shown that
// the seat service has not said.
type stock struct {
	Note  string
	Lines []stockLine
}

type stockLine struct {
	Name, Price, Left string
	Gone              bool
}

// Known says whether there is anything to show.
func (s stock) Known() bool { return s.Note != "" || len(s.Lines) > 0 }

func stockOf(s *room.Stock, now time.Time) (shown stock) {
	if s == nil || s.State == room.StockNotOpen {
		return stock{}
	}
	switch {
	case s.State == room.StockAllHeld:
		shown.Note = what["allHeld"]
		if s.NextReleaseAt != nil && s.NextReleaseAt.After(now) {
			left := int64(s.NextReleaseAt.Sub(now).Seconds())
			shown.Note += " " + what["next"] + " " + between(left, left) + "."
		}
	case len(s.Categories) == 0 && s.Free > 0:
		shown.Note = grouped(s.Free) + " " + what["tickets"]
	}
	for _, c := range s.Categories {
		line := stockLine{Name: c.Name, Left: grouped(c.Free) + " " + what["left"]}
		if s.Currency != "" {
			line.Price = money.Format(c.Price, s.Currency)
		}
		switch {
		case c.Free == 0 && c.Held > 0:
			line.Left = what["held"]
		case c.Free == 0:
			line.Left, line.Gone = what["gone"], true
		}
		shown.Lines = append(shown.Lines, line)
	}
	return shown
}
