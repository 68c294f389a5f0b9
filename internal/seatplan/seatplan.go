// Package seatplan reads and writes seating plans in the JSON format of
// pretix's plan editor, makes the published layout document of them, and
// generates stadiums. It knows no event, no price and no server.
//
// A Plan that Parse or Generate returned is sound: every seat has an id that
// is unique in the plan and fit to be a cell, every category exists, every
// coordinate is finite, and the number of cells is within MaxCells. What is
// wrong with a plan is told with the JSON path of the fault.
//
// Standing areas are an extension: an area that carries a "standing" member is
// sold by number. All other areas are drawings.
package seatplan

// Limits of a plan. The largest stadiums have 130,000 places; a plan file of
// 200,000 seats is about 30 MB.
const (
	MaxBytes      = 32 << 20
	MaxCells      = 200_000
	MaxZones      = 2_000
	MaxAreas      = 10_000 // drawings and standing areas together
	MaxCategories = 64
	MaxPoints     = 1_000 // of one polygon
	maxName       = 200   // bytes of any name or text
	maxDepth      = 24    // of nested JSON; pretix's own plans need 9
	maxCoordinate = 1e6
)

// Plan is a seating plan. Positions are relative to what contains them, as in
// the file: the place of a seat is zone + row + seat.
type Plan struct {
	Name       string     `json:"name"`
	Categories []Category `json:"categories"`
	Size       Size       `json:"size"` // zero in a file means: as large as what is in it
	Zones      []Zone     `json:"zones"`
}

// Category is a group of seats that cost the same. Prices are not a plan's.
type Category struct {
	Name  string `json:"name"`
	Color string `json:"color,omitempty"`
}

// Zone is a block of rows, and what is drawn around it.
type Zone struct {
	Name     string `json:"name"`
	Position Point  `json:"position"`
	Rows     []Row  `json:"rows"`
	Areas    []Area `json:"areas"`
}

// Row is a row of seats.
type Row struct {
	Number   string `json:"row_number"`
	Position Point  `json:"position"`
	Seats    []Seat `json:"seats"`
}

// Seat is one seat. GUID is its cell id for good.
type Seat struct {
	GUID       string `json:"seat_guid"`
	Number     string `json:"seat_number"`
	Position   Point  `json:"position"`
	Category   string `json:"category"`
	Wheelchair bool   `json:"wheelchair,omitempty"`
}

// Area is a drawing, or with Standing a place to stand.
type Area struct {
	Shape       string    `json:"shape"`
	Position    Point     `json:"position"`
	Color       string    `json:"color,omitempty"`
	BorderColor string    `json:"border_color,omitempty"`
	Rotation    float64   `json:"rotation"`
	Rectangle   *Size     `json:"rectangle,omitempty"`
	Circle      *Circle   `json:"circle,omitempty"`
	Ellipse     *Ellipse  `json:"ellipse,omitempty"`
	Polygon     *Polygon  `json:"polygon,omitempty"`
	Text        *Text     `json:"text,omitempty"`
	Standing    *Standing `json:"standing,omitempty"`
}

// Standing makes an area one that is sold by number.
type Standing struct {
	ID       string `json:"id"` // unique in the plan; its units are ID-00001, ID-00002, …
	Name     string `json:"name"`
	Capacity int    `json:"capacity"`
	Category string `json:"category"`
}

// Text is written at a place relative to its area's.
type Text struct {
	Text     string  `json:"text"`
	Position Point   `json:"position"`
	Color    string  `json:"color,omitempty"`
	Size     float64 `json:"size,omitempty"`
}

// Point is a place or a distance; one unit is about a centimetre or a pixel, as the plan likes.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

func (p Point) plus(q Point) Point { return Point{p.X + q.X, p.Y + q.Y} }

// Size is an extent.
type Size struct {
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
}

// Circle, Ellipse and Polygon are the other shapes of areas.
type (
	Circle struct {
		Radius float64 `json:"radius"`
	}
	Ellipse struct {
		Radius Point `json:"radius"`
	}
	Polygon struct {
		Points []Point `json:"points"`
	}
)
