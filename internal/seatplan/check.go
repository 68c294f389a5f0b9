package seatplan

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"
)

// checker holds a read plan against the rules. It keeps the first fault.
type checker struct {
	plan       *Plan
	fault      *Fault
	categories map[string]struct{}
	ids        map[string]string // cell or area id -> path of its first use
	cells      int
	areas      int
}

func newChecker(p *Plan) *checker {
	return &checker{plan: p, categories: make(map[string]struct{}), ids: make(map[string]string)}
}

func (c *checker) fail(path, format string, args ...any) {
	if c.fault == nil {
		c.fault = &Fault{Path: path, What: fmt.Sprintf(format, args...)}
	}
}

func (c *checker) check() {
	p := c.plan
	c.text("name", p.Name)
	c.extent("size", p.Size, 0)
	if n := len(p.Categories); n > MaxCategories {
		c.fail("categories", "%d categories, more than %d", n, MaxCategories)
	}
	for i, category := range p.Categories {
		path := fmt.Sprintf("categories[%d]", i)
		if category.Name == "" {
			c.fail(path+".name", "missing")
		}
		c.text(path+".name", category.Name)
		c.color(path+".color", category.Color)
		if _, twice := c.categories[category.Name]; twice {
			c.fail(path+".name", "duplicate of %q", category.Name)
		}
		c.categories[category.Name] = struct{}{}
	}
	for i := range p.Zones {
		if c.fault != nil {
			return
		}
		c.zone(fmt.Sprintf("zones[%d]", i), &p.Zones[i])
	}
	if c.cells == 0 {
		c.fail("zones", "the plan has no seats and no standing areas")
	}
}

func (c *checker) zone(path string, z *Zone) {
	c.text(path+".name", z.Name)
	c.point(path+".position", z.Position)
	for i := range z.Rows {
		row := &z.Rows[i]
		at := fmt.Sprintf("%s.rows[%d]", path, i)
		c.text(at+".row_number", row.Number)
		c.point(at+".position", row.Position)
		for k := range row.Seats {
			c.seat(at, k, &row.Seats[k])
			if c.fault != nil {
				return
			}
		}
	}
	for i := range z.Areas {
		c.area(fmt.Sprintf("%s.areas[%d]", path, i), &z.Areas[i])
	}
}

func (c *checker) seat(row string, k int, s *Seat) {
	path := func(member string) string { return fmt.Sprintf("%s.seats[%d].%s", row, k, member) }
	c.cells++
	if why := idFault(s.GUID); why != "" {
		c.fail(path("seat_guid"), "%s", why)
	}
	if first, twice := c.ids[s.GUID]; twice {
		c.fail(path("seat_guid"), "duplicate of %s", first)
	}
	c.ids[s.GUID] = path("seat_guid")
	if _, known := c.categories[s.Category]; !known {
		c.fail(path("category"), "%q is none of the plan's categories", s.Category)
	}
	if textFault(s.Number) != "" {
		c.text(path("seat_number"), s.Number)
	}
	if !finite(s.Position) {
		c.point(path("position"), s.Position)
	}
}

func (c *checker) area(path string, a *Area) {
	if c.areas++; c.areas > MaxAreas {
		c.fail(path, "more than %d areas", MaxAreas)
	}
	c.point(path+".position", a.Position)
	c.color(path+".color", a.Color)
	c.color(path+".border_color", a.BorderColor)
	c.number(path+".rotation", a.Rotation)
	c.shape(path, a)
	if t := a.Text; t != nil {
		c.text(path+".text.text", t.Text)
		c.point(path+".text.position", t.Position)
		c.color(path+".text.color", t.Color)
		c.number(path+".text.size", t.Size)
	}
	if s := a.Standing; s != nil {
		c.standing(path+".standing", s)
	}
}

// shape sees to it that an area has what its shape is drawn from.
func (c *checker) shape(path string, a *Area) {
	missing := false
	switch a.Shape {
	case "rectangle":
		if missing = a.Rectangle == nil; !missing {
			c.extent(path+".rectangle", *a.Rectangle, 0)
		}
	case "circle":
		if missing = a.Circle == nil; !missing {
			c.number(path+".circle.radius", a.Circle.Radius)
		}
	case "ellipse":
		if missing = a.Ellipse == nil; !missing {
			c.point(path+".ellipse.radius", a.Ellipse.Radius)
		}
	case "polygon":
		if missing = a.Polygon == nil; !missing {
			if len(a.Polygon.Points) > MaxPoints {
				c.fail(path+".polygon.points", "%d points, more than %d", len(a.Polygon.Points), MaxPoints)
			}
			for i, p := range a.Polygon.Points {
				c.point(fmt.Sprintf("%s.polygon.points[%d]", path, i), p)
			}
		}
	case "text":
		missing = a.Text == nil
	default:
		c.fail(path+".shape", "%q is no shape", a.Shape)
	}
	if missing {
		c.fail(path+"."+a.Shape, "missing")
	}
}

func (c *checker) standing(path string, s *Standing) {
	// The units are ID-00001: six more bytes have to fit. A colon would make
	// two areas share a key of the lock server.
	if why := idFault(s.ID + "-00000"); why != "" || s.ID == "" || strings.Contains(s.ID, ":") {
		c.fail(path+".id", "%q is no id: 1 to 58 printable ASCII characters without space, ':', '{' and '}'", s.ID)
	}
	if s.Capacity < 1 || s.Capacity > maxUnits {
		c.fail(path+".capacity", "%d is not between 1 and %d", s.Capacity, maxUnits)
		return
	}
	if c.cells += s.Capacity; c.cells > MaxCells {
		c.fail(path+".capacity", "more than %d seats and standing places", MaxCells)
		return
	}
	for n := 1; n <= s.Capacity; n++ {
		id := unitID(s.ID, n)
		if first, twice := c.ids[id]; twice {
			c.fail(path+".id", "unit %s is a duplicate of %s", id, first)
		}
		c.ids[id] = path + ".id"
	}
	if s.Name == "" {
		c.fail(path+".name", "missing")
	}
	c.text(path+".name", s.Name)
	if _, known := c.categories[s.Category]; !known {
		c.fail(path+".category", "%q is none of the plan's categories", s.Category)
	}
}

// idFault says why an id cannot be a cell's. The rule is allocator.Cell's: ids
// are parts of keys, are kept in lists divided by spaces, and braces would
// change a Redis Cluster key's slot.
func idFault(id string) string {
	if id == "" {
		return "missing"
	}
	if len(id) > 64 {
		return fmt.Sprintf("%d bytes long, more than 64", len(id))
	}
	for _, b := range []byte(id) {
		if b <= ' ' || b > '~' || b == '{' || b == '}' {
			return fmt.Sprintf("%q has a character that is not printable ASCII, or a space or brace", id)
		}
	}
	return ""
}

func textFault(s string) string {
	if len(s) > maxName {
		return fmt.Sprintf("%d bytes long, more than %d", len(s), maxName)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "has control characters"
	}
	return ""
}

func (c *checker) text(path, s string) {
	if why := textFault(s); why != "" {
		c.fail(path, "%s", why)
	}
}

// color admits what stays a colour wherever a page puts it: nothing that could
// end an attribute or a declaration.
var color = regexp.MustCompile(`^(#[0-9a-fA-F]{3,8}|[a-zA-Z]{1,32}|(rgb|hsl)a?\([0-9., %]{1,40}\))?$`)

func (c *checker) color(path, s string) {
	if !color.MatchString(s) {
		c.fail(path, "%q is no colour", s)
	}
}

func usable(n float64) bool { return math.Abs(n) <= maxCoordinate } // false for NaN too

func finite(p Point) bool { return usable(p.X) && usable(p.Y) }

func (c *checker) number(path string, n float64) {
	if !usable(n) {
		c.fail(path, "%g is beyond %g", n, maxCoordinate)
	}
}

func (c *checker) point(path string, p Point) {
	c.number(path+".x", p.X)
	c.number(path+".y", p.Y)
}

func (c *checker) extent(path string, s Size, least float64) {
	for member, n := range map[string]float64{".width": s.Width, ".height": s.Height} {
		if !usable(n) || n < least {
			c.fail(path+member, "%g is not between %g and %g", n, least, maxCoordinate)
		}
	}
}
