package seatplan

import (
	"fmt"
	"math"
)

// maxUnits is the largest standing area: its units have five digits.
const maxUnits = 99_999

func unitID(area string, n int) string { return fmt.Sprintf("%s-%05d", area, n) }

// Cell is one thing that the plan offers for sale.
type Cell struct {
	ID       string
	Ordinal  int    // seats in the order of the file, then the units of standing areas
	Category int    // index into the plan's categories
	Area     string // standing area, empty for a seat
}

// Cells lists all cells by ordinal. The order is part of the published map:
// the same plan gives the same ordinals for ever.
func (p *Plan) Cells() []Cell {
	category := p.categoryIndex()
	var cells []Cell
	for _, z := range p.Zones {
		for _, r := range z.Rows {
			for _, s := range r.Seats {
				cells = append(cells, Cell{ID: s.GUID, Ordinal: len(cells), Category: category[s.Category]})
			}
		}
	}
	for _, z := range p.Zones {
		for _, a := range z.Areas {
			if a.Standing == nil {
				continue
			}
			for n := 1; n <= a.Standing.Capacity; n++ {
				cells = append(cells, Cell{
					ID: unitID(a.Standing.ID, n), Ordinal: len(cells),
					Category: category[a.Standing.Category], Area: a.Standing.ID,
				})
			}
		}
	}
	return cells
}

func (p *Plan) categoryIndex() map[string]int {
	index := make(map[string]int, len(p.Categories))
	for i, c := range p.Categories {
		index[c.Name] = i
	}
	return index
}

// margin is kept free around plans that do not say how large they are.
const margin = 40

// fit makes the size hold everything that is in the plan. A plan that reaches
// below zero is moved, so that every client can draw from 0,0 to the size.
func (p *Plan) fit() {
	low, high := Point{math.Inf(1), math.Inf(1)}, Point{math.Inf(-1), math.Inf(-1)}
	p.eachPoint(func(at Point) {
		low = Point{math.Min(low.X, at.X), math.Min(low.Y, at.Y)}
		high = Point{math.Max(high.X, at.X), math.Max(high.Y, at.Y)}
	})
	var shift Point
	if low.X < 0 {
		shift.X = margin - low.X
	}
	if low.Y < 0 {
		shift.Y = margin - low.Y
	}
	for i := range p.Zones {
		p.Zones[i].Position = p.Zones[i].Position.plus(shift)
	}
	high = high.plus(shift)
	if p.Size.Width < high.X {
		p.Size.Width = math.Ceil(high.X + margin)
	}
	if p.Size.Height < high.Y {
		p.Size.Height = math.Ceil(high.Y + margin)
	}
}

// eachPoint calls f with the absolute place of every seat and area corner.
func (p *Plan) eachPoint(f func(Point)) {
	for _, z := range p.Zones {
		for _, r := range z.Rows {
			at := z.Position.plus(r.Position)
			for _, s := range r.Seats {
				f(at.plus(s.Position))
			}
		}
		for _, a := range z.Areas {
			at := z.Position.plus(a.Position)
			f(at)
			if a.Rectangle != nil {
				f(at.plus(Point{a.Rectangle.Width, a.Rectangle.Height}))
			}
			if a.Polygon != nil {
				for _, q := range a.Polygon.Points {
					f(at.plus(q))
				}
			}
		}
	}
}
