package seatplan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// layout is the published document that clients draw. Coordinates are
// absolute; the ordinal of a seat is its row's first plus its index.
type layout struct {
	Name       string        `json:"name"`
	Size       layoutSize    `json:"size"`
	Categories []Category    `json:"categories"`
	Zones      []layoutZone  `json:"zones"`
	Areas      []layoutArea  `json:"areas"`
	Decor      []layoutShape `json:"decor"`
}

type layoutSize struct {
	Width  coordinate `json:"width"`
	Height coordinate `json:"height"`
}

type layoutZone struct {
	Name string      `json:"name"`
	Rows []layoutRow `json:"rows"`
}

type layoutRow struct {
	Label      string       `json:"label"`
	First      int          `json:"first"`
	IDs        []string     `json:"ids"`
	Numbers    []string     `json:"numbers"`
	Category   any          `json:"category"` // one index, or one a seat where they differ
	X          []coordinate `json:"x"`
	Y          []coordinate `json:"y"`
	Accessible []int        `json:"accessible,omitempty"` // indexes into ids
}

type layoutArea struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Capacity int             `json:"capacity"`
	First    int             `json:"first"`
	Category int             `json:"category"`
	X        coordinate      `json:"x"`
	Y        coordinate      `json:"y"`
	Width    coordinate      `json:"width"`
	Height   coordinate      `json:"height"`
	Color    string          `json:"color,omitempty"`
	Points   [][2]coordinate `json:"points,omitempty"`
}

type layoutShape struct {
	Shape    string          `json:"shape"`
	X        coordinate      `json:"x"`
	Y        coordinate      `json:"y"`
	Width    coordinate      `json:"width,omitempty"`  // of a rectangle, or a circle's or ellipse's two diameters
	Height   coordinate      `json:"height,omitempty"` // a circle and an ellipse are centred on x,y
	Points   [][2]coordinate `json:"points,omitempty"`
	Rotation coordinate      `json:"rotation,omitempty"`
	Color    string          `json:"color,omitempty"`
	Border   string          `json:"border,omitempty"`
	Text     *layoutText     `json:"text,omitempty"`
}

type layoutText struct {
	Text  string     `json:"text"`
	X     coordinate `json:"x"`
	Y     coordinate `json:"y"`
	Color string     `json:"color,omitempty"`
	Size  coordinate `json:"size,omitempty"`
}

// coordinate is written with at most two decimals: a hundredth of a unit is
// nowhere visible, and 50,000 seats are a third smaller for it.
type coordinate float64

// MarshalJSON implements json.Marshaler.
func (c coordinate) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, math.Round(float64(c)*100)/100+0, 'f', -1, 64), nil
}

// Layout is the published document and its hash, hex SHA-256. The same plan
// gives the same bytes.
func (p *Plan) Layout() (document []byte, hash string, err error) {
	l := layout{
		Name: p.Name, Size: layoutSize{coordinate(p.Size.Width), coordinate(p.Size.Height)},
		Categories: p.Categories, Zones: []layoutZone{}, Areas: []layoutArea{}, Decor: []layoutShape{},
	}
	category := p.categoryIndex()
	ordinal := 0
	for _, z := range p.Zones {
		zone := layoutZone{Name: z.Name, Rows: []layoutRow{}}
		for _, r := range z.Rows {
			if len(r.Seats) > 0 {
				zone.Rows = append(zone.Rows, newLayoutRow(z, r, ordinal, category))
				ordinal += len(r.Seats)
			}
		}
		if len(zone.Rows) > 0 {
			l.Zones = append(l.Zones, zone)
		}
	}
	for _, z := range p.Zones {
		for _, a := range z.Areas {
			if a.Standing == nil {
				l.Decor = append(l.Decor, newLayoutShape(z, a))
				continue
			}
			l.Areas = append(l.Areas, newLayoutArea(z, a, ordinal, category))
			ordinal += a.Standing.Capacity
		}
	}
	document, err = json.Marshal(l)
	if err != nil {
		return nil, "", fmt.Errorf("writing layout: %w", err)
	}
	sum := sha256.Sum256(document)
	return document, hex.EncodeToString(sum[:]), nil
}

func newLayoutRow(z Zone, r Row, first int, category map[string]int) layoutRow {
	row := layoutRow{Label: r.Number, First: first}
	at := z.Position.plus(r.Position)
	categories := make([]int, len(r.Seats))
	same := true
	for i, s := range r.Seats {
		row.IDs = append(row.IDs, s.GUID)
		row.Numbers = append(row.Numbers, s.Number)
		place := at.plus(s.Position)
		row.X, row.Y = append(row.X, coordinate(place.X)), append(row.Y, coordinate(place.Y))
		if s.Wheelchair {
			row.Accessible = append(row.Accessible, i)
		}
		categories[i] = category[s.Category]
		same = same && categories[i] == categories[0]
	}
	row.Category = categories
	if same {
		row.Category = categories[0]
	}
	return row
}

func newLayoutArea(z Zone, a Area, first int, category map[string]int) layoutArea {
	at, size := z.Position.plus(a.Position), Size{}
	var points [][2]coordinate
	switch {
	case a.Rectangle != nil:
		size = *a.Rectangle
	case a.Circle != nil: // as its bounding box: clients draw areas as rectangles or polygons
		size = Size{2 * a.Circle.Radius, 2 * a.Circle.Radius}
		at = at.plus(Point{-a.Circle.Radius, -a.Circle.Radius})
	case a.Ellipse != nil:
		size = Size{2 * a.Ellipse.Radius.X, 2 * a.Ellipse.Radius.Y}
		at = at.plus(Point{-a.Ellipse.Radius.X, -a.Ellipse.Radius.Y})
	case a.Polygon != nil:
		points = absolute(at, a.Polygon.Points)
		at, size = bounds(at, a.Polygon.Points)
	}
	return layoutArea{
		ID: a.Standing.ID, Name: a.Standing.Name, Capacity: a.Standing.Capacity, First: first,
		Category: category[a.Standing.Category],
		X:        coordinate(at.X), Y: coordinate(at.Y), Width: coordinate(size.Width), Height: coordinate(size.Height),
		Color: a.Color, Points: points,
	}
}

func newLayoutShape(z Zone, a Area) layoutShape {
	at := z.Position.plus(a.Position)
	s := layoutShape{
		Shape: a.Shape, X: coordinate(at.X), Y: coordinate(at.Y),
		Rotation: coordinate(a.Rotation), Color: a.Color, Border: a.BorderColor,
	}
	switch a.Shape { // only what its shape is drawn from: a file may have more
	case "rectangle":
		s.Width, s.Height = coordinate(a.Rectangle.Width), coordinate(a.Rectangle.Height)
	case "circle":
		s.Width, s.Height = coordinate(2*a.Circle.Radius), coordinate(2*a.Circle.Radius)
	case "ellipse":
		s.Width, s.Height = coordinate(2*a.Ellipse.Radius.X), coordinate(2*a.Ellipse.Radius.Y)
	case "polygon":
		s.Points = absolute(at, a.Polygon.Points)
	}
	if t := a.Text; t != nil && t.Text != "" {
		place := at.plus(t.Position)
		s.Text = &layoutText{Text: t.Text, X: coordinate(place.X), Y: coordinate(place.Y), Color: t.Color, Size: coordinate(t.Size)}
	}
	return s
}

func absolute(at Point, points []Point) [][2]coordinate {
	out := make([][2]coordinate, len(points))
	for i, p := range points {
		q := at.plus(p)
		out[i] = [2]coordinate{coordinate(q.X), coordinate(q.Y)}
	}
	return out
}

func bounds(at Point, points []Point) (Point, Size) {
	if len(points) == 0 {
		return at, Size{}
	}
	low, high := points[0], points[0]
	for _, p := range points {
		low = Point{math.Min(low.X, p.X), math.Min(low.Y, p.Y)}
		high = Point{math.Max(high.X, p.X), math.Max(high.Y, p.Y)}
	}
	return at.plus(low), Size{high.X - low.X, high.Y - low.Y}
}
