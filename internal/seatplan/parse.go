package seatplan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Fault says what is wrong with a plan, and where.
type Fault struct {
	Path string // as in zones[1].rows[3].seats[7].seat_guid; empty for the whole document
	What string
}

func (f *Fault) Error() string {
	if f.Path == "" {
		return f.What
	}
	return f.Path + ": " + f.What
}

// Read parses a plan from a file or a request body, of at most MaxBytes.
func Read(r io.Reader) (*Plan, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading plan: %w", err)
	}
	return Parse(b)
}

// Parse reads a plan. Members that this package does not know are skipped, as
// real plans have them. The error for a broken plan is a *Fault.
func Parse(b []byte) (*Plan, error) {
	if len(b) > MaxBytes {
		return nil, &Fault{What: fmt.Sprintf("larger than %d MiB", MaxBytes>>20)}
	}
	if !utf8.Valid(b) {
		return nil, &Fault{What: "is not UTF-8"}
	}
	if depth := nesting(b); depth > maxDepth {
		return nil, &Fault{What: fmt.Sprintf("nested %d deep, more than %d", depth, maxDepth)}
	}
	p := parser{}
	plan := p.plan(b)
	if p.fault != nil {
		return nil, p.fault
	}
	c := newChecker(plan)
	c.check()
	if c.fault != nil {
		return nil, c.fault
	}
	plan.fit()
	return plan, nil
}

// parser reads level by level, so that a fault is known by its full path: the
// JSON package tells the path inside one element only. It keeps the first fault.
type parser struct {
	fault *Fault
	seats int
}

func (p *parser) fail(path, format string, args ...any) {
	if p.fault == nil {
		p.fault = &Fault{Path: path, What: fmt.Sprintf(format, args...)}
	}
}

// read reads one element into v.
func (p *parser) read(path string, b json.RawMessage, v any) {
	if p.fault != nil {
		return
	}
	err := json.Unmarshal(b, v)
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
	case errors.As(err, &wrong):
		p.fail(join(path, member(wrong.Field)), "cannot be a %s", wrong.Value)
	case errors.As(err, &syntax):
		p.fail(path, "not JSON at byte %d: %v", syntax.Offset, err)
	default:
		p.fail(path, "%v", err)
	}
}

// member takes off the name of the embedded type, as in Seat.seat_guid: it is
// no part of the file.
func member(field string) string {
	first, rest, nested := strings.Cut(field, ".")
	if nested && first != strings.ToLower(first) {
		return rest
	}
	return field
}

func join(path, field string) string {
	if path == "" || field == "" {
		return path + field
	}
	return path + "." + field
}

// The lists of each level are kept raw until their elements' paths are known.
type (
	rawPlan struct {
		Plan
		Zones []json.RawMessage `json:"zones"`
	}
	rawZone struct {
		Zone
		Position *Point            `json:"position"`
		Rows     []json.RawMessage `json:"rows"`
		Areas    []json.RawMessage `json:"areas"`
	}
	rawRow struct {
		Row
		Number label             `json:"row_number"`
		Seats  []json.RawMessage `json:"seats"`
	}
	rawSeat struct {
		Seat
		Number   label  `json:"seat_number"`
		Position *Point `json:"position"`
	}
	rawArea struct {
		Area
		Position *Point `json:"position"`
	}
)

func (p *parser) plan(b []byte) *Plan {
	var raw rawPlan
	p.read("", b, &raw)
	plan := raw.Plan
	if len(raw.Zones) > MaxZones {
		p.fail("zones", "%d zones, more than %d", len(raw.Zones), MaxZones)
	}
	for i, b := range raw.Zones {
		if p.fault != nil {
			break
		}
		plan.Zones = append(plan.Zones, p.zone(fmt.Sprintf("zones[%d]", i), b))
	}
	return &plan
}

func (p *parser) zone(path string, b json.RawMessage) Zone {
	var raw rawZone
	p.read(path, b, &raw)
	zone := raw.Zone
	zone.Position = p.position(path, raw.Position)
	for i, b := range raw.Rows {
		if p.fault != nil {
			break
		}
		zone.Rows = append(zone.Rows, p.row(fmt.Sprintf("%s.rows[%d]", path, i), b))
	}
	for i, b := range raw.Areas {
		if p.fault != nil {
			break
		}
		var area rawArea
		at := fmt.Sprintf("%s.areas[%d]", path, i)
		p.read(at, b, &area)
		area.Area.Position = p.position(at, area.Position)
		zone.Areas = append(zone.Areas, area.Area)
	}
	return zone
}

func (p *parser) row(path string, b json.RawMessage) Row {
	var raw rawRow
	p.read(path, b, &raw)
	row := raw.Row // a row without a position is at its zone's, as pretix has it
	row.Number = string(raw.Number)
	if p.seats += len(raw.Seats); p.seats > MaxCells {
		p.fail(path+".seats", "more than %d seats", MaxCells)
	}
	row.Seats = make([]Seat, 0, len(raw.Seats))
	for i, b := range raw.Seats {
		if p.fault != nil {
			break
		}
		var raw rawSeat
		at := fmt.Sprintf("%s.seats[%d]", path, i)
		p.read(at, b, &raw)
		seat := raw.Seat
		seat.Number = string(raw.Number)
		seat.Position = p.position(at, raw.Position)
		row.Seats = append(row.Seats, seat)
	}
	return row
}

func (p *parser) position(path string, at *Point) Point {
	if at == nil {
		p.fail(path+".position", "missing")
		return Point{}
	}
	return *at
}

// label is a row's or seat's number. The schema wants a string; hand-made plans
// have whole numbers too, and the meaning is the same.
type label string

// UnmarshalJSON implements json.Unmarshaler.
func (l *label) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] >= '0' && b[0] <= '9' && !strings.ContainsAny(string(b), ".eE") {
		*l = label(b)
		return nil
	}
	return json.Unmarshal(b, (*string)(l))
}

// nesting is how deep arrays and objects are nested. It also counts what is no
// valid JSON, which is found out later.
func nesting(b []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
