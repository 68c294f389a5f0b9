package seatplan

import (
	"fmt"
	"math"
)

// Ask says what stadium to generate.
type Ask struct {
	Name     string
	Seats    int
	Standing int // places on the pitch, in areas of at most standingArea
}

// Measures of a generated stadium, in units of a decimetre on the ground: seats
// half a metre apart, rows 0.8 m, as grandstands are built.
const (
	seatPitch    = 5.0
	rowPitch     = 8.0
	aisle        = 12.0 // between blocks
	rowsPerTier  = 26
	tierGap      = 40.0
	cornerRadius = 90.0 // of the first row
	border       = 80.0
	standingArea = 5_000
)

// ground is the pitch and how its stands are divided into blocks.
type ground struct {
	width, height           float64
	long, short, cornerPart int // blocks along a long side, a short side, round a corner
}

// groundFor keeps small halls from having a football pitch in their middle.
func groundFor(cells int) ground {
	switch {
	case cells <= 1_500:
		return ground{width: 240, height: 140, long: 2, short: 1, cornerPart: 1}
	case cells <= 12_000:
		return ground{width: 520, height: 320, long: 4, short: 2, cornerPart: 2}
	default:
		return ground{width: 1050, height: 680, long: 7, short: 4, cornerPart: 3}
	}
}

// The categories of generated stadiums, dearest first.
var generatedCategories = [...]Category{
	{Name: "Category 1", Color: "#7b2cbf"},
	{Name: "Category 2", Color: "#2a6fdb"},
	{Name: "Category 3", Color: "#1b998b"},
	{Name: "Category 4", Color: "#d98324"},
}

const standingCategory = "Standing"

// Generate makes a stadium: a bowl of blocks in tiers round a pitch, straight
// along its sides and curved round its corners. The same ask gives the same plan.
func Generate(ask Ask) (*Plan, error) {
	if ask.Seats < 0 || ask.Standing < 0 || ask.Seats > MaxCells-ask.Standing || ask.Seats+ask.Standing < 1 {
		return nil, fmt.Errorf("a stadium has 1 to %d seats and standing places, not %d and %d", MaxCells, ask.Seats, ask.Standing)
	}
	p := &Plan{Name: ask.Name, Categories: generatedCategories[:]}
	if p.Name == "" {
		p.Name = fmt.Sprintf("Stadium of %d", ask.Seats+ask.Standing)
	}
	g := groundFor(ask.Seats + ask.Standing)
	left := ask.Seats
	for tier := 0; left > 0; tier++ {
		left = g.tier(p, tier, left)
	}
	p.Zones = append(p.Zones, g.pitch(p, ask.Standing))
	p.fit()
	p.Size.Width += border
	p.Size.Height += border
	return p, nil
}

// block is a part of the bowl that rows run through, seen from its anchor.
type block struct {
	anchor    Point
	direction float64 // in which the first row's normal points, away from the pitch
	width     float64 // of a straight block
	angle     float64 // of a curved one
	category  int
	wide      bool // along a long side
}

// tier adds one tier of blocks with as many of the seats that are left as it
// holds, the rows nearest to the pitch first, and answers how many remain.
func (g ground) tier(p *Plan, tier, left int) int {
	blocks := g.blocks(tier)
	zones := make([]Zone, len(blocks))
	start := float64(tier) * (rowsPerTier*rowPitch + tierGap)
	for row := range rowsPerTier {
		for i, b := range blocks {
			if left == 0 {
				break
			}
			name := fmt.Sprintf("%s%02d", tierName(tier), i+1)
			seats := b.row(name, row, start+float64(row)*rowPitch, left)
			for k := range seats {
				seats[k].Category = generatedCategories[b.category].Name
				// Places for wheelchairs are in the front row, where there are no steps.
				seats[k].Wheelchair = tier == 0 && row == 0 && b.wide && k%6 < 2
			}
			zones[i].Name, zones[i].Position = "Block "+name, b.anchor
			zones[i].Rows = append(zones[i].Rows, Row{Number: fmt.Sprint(row + 1), Seats: seats})
			left -= len(seats)
		}
	}
	for _, z := range zones {
		if len(z.Rows) > 0 {
			p.Zones = append(p.Zones, z)
		}
	}
	return left
}

// tierName is A to Z, then AA and so on.
func tierName(tier int) string {
	if tier < 26 {
		return string(rune('A' + tier))
	}
	return tierName(tier/26-1) + tierName(tier%26)
}

// blocks goes round the pitch clockwise from its upper left corner.
func (g ground) blocks(tier int) []block {
	var blocks []block
	w, h := g.width, g.height
	// Each side: where it begins, in which direction it runs, and outwards.
	for side, s := range [4]struct {
		from   Point
		length float64
		parts  int
		run    float64
	}{
		{Point{0, 0}, w, g.long, 0},
		{Point{w, 0}, h, g.short, math.Pi / 2},
		{Point{w, h}, w, g.long, math.Pi},
		{Point{0, h}, h, g.short, math.Pi * 3 / 2},
	} {
		part := s.length / float64(s.parts)
		for i := range s.parts {
			middle := (float64(i) + 0.5) * part
			central := math.Abs(float64(i)+0.5-float64(s.parts)/2) < float64(s.parts)/4
			blocks = append(blocks, block{
				anchor:    rounded(s.from.plus(polar(middle, s.run))),
				direction: s.run - math.Pi/2, width: part - aisle,
				category: categoryOf(tier, side%2 == 0, central), wide: side%2 == 0,
			})
		}
		corner := s.from.plus(polar(s.length, s.run))
		for i := range g.cornerPart {
			angle := math.Pi / 2 / float64(g.cornerPart)
			blocks = append(blocks, block{
				anchor:    rounded(corner),
				direction: s.run - math.Pi/2 + (float64(i)+0.5)*angle, angle: angle,
				category: categoryOf(tier, false, false),
			})
		}
	}
	return blocks
}

// categoryOf prices as stadiums do: the middle of the long sides costs most,
// upper tiers cost a step less.
func categoryOf(tier int, wide, central bool) int {
	category := 2
	if wide {
		category = 1
		if central {
			category = 0
		}
	}
	return min(category+tier, len(generatedCategories)-1)
}

// row places at most limit seats at a distance behind the first row.
func (b block) row(name string, row int, distance float64, limit int) []Seat {
	radius := cornerRadius + distance
	length := b.width
	if b.angle > 0 {
		length = radius*b.angle - aisle
	}
	n := min(max(int(length/seatPitch), 1), limit)
	seats := make([]Seat, n)
	for k := range seats {
		along := (float64(k) - float64(n-1)/2) * seatPitch
		at := polar(radius, b.direction)
		if b.angle > 0 {
			at = polar(radius, b.direction+along/radius)
		} else {
			at = at.plus(polar(along, b.direction+math.Pi/2))
		}
		seats[k] = Seat{
			GUID: fmt.Sprintf("%s-%02d-%02d", name, row+1, k+1), Number: fmt.Sprint(k + 1), Position: rounded(at),
		}
	}
	return seats
}

// pitch is what the bowl is around: a drawing, and the standing areas on it.
func (g ground) pitch(p *Plan, standing int) Zone {
	z := Zone{Name: "Pitch", Rows: []Row{}}
	text := func(s string, w, h float64) *Text {
		return &Text{Text: s, Position: Point{w / 2, h / 2}, Color: "#ffffff", Size: 24}
	}
	area := func(at Point, size Size, color, name string) Area {
		return Area{Shape: "rectangle", Position: at, Rectangle: &size, Color: color, BorderColor: "#ffffff", Text: text(name, size.Width, size.Height)}
	}
	z.Areas = append(z.Areas, area(Point{}, Size{g.width, g.height}, "#3a7d44", "Pitch"))
	if standing == 0 {
		return z
	}
	p.Categories = append(p.Categories, Category{Name: standingCategory, Color: "#b23a48"})
	stage := rounded(Point{g.width * 0.18, g.height}).X
	z.Areas = append(z.Areas, area(Point{}, Size{stage, g.height}, "#333333", "Stage"))
	areas := (standing + standingArea - 1) / standingArea
	width := (g.width - stage) / float64(areas)
	for i := range areas {
		name := fmt.Sprintf("Standing %s", tierName(i))
		a := area(rounded(Point{stage + float64(i)*width, 0}), Size{rounded(Point{X: width}).X, g.height}, "#b23a48", name)
		a.Standing = &Standing{ID: "S" + tierName(i), Name: name, Category: standingCategory, Capacity: standing / areas}
		if i < standing%areas {
			a.Standing.Capacity++
		}
		z.Areas = append(z.Areas, a)
	}
	return z
}

func polar(r, angle float64) Point { return Point{r * math.Cos(angle), r * math.Sin(angle)} }

// rounded keeps generated files short and equal on every processor. Adding
// zero turns a negative zero into the plain one.
func rounded(p Point) Point {
	return Point{math.Round(p.X*100)/100 + 0, math.Round(p.Y*100)/100 + 0}
}
