package seatplan

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
)

func realHall(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/riethsporthalle-north.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parsed(t testing.TB, b []byte) *Plan {
	t.Helper()
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func published(t testing.TB, p *Plan) (layout, string) {
	t.Helper()
	document, hash, err := p.Layout()
	if err != nil {
		t.Fatal(err)
	}
	var l layout
	if err := json.Unmarshal(document, &l); err != nil {
		t.Fatal(err)
	}
	return l, hash
}

func TestTheRealHallIsReadInFull(t *testing.T) {
	p := parsed(t, realHall(t))
	cells := p.Cells()
	if p.Name != "Riethsporthalle Erfurt, Nordtribüne" || len(p.Zones) != 3 || len(cells) != 556 {
		t.Fatalf("got %q with %d zones and %d cells", p.Name, len(p.Zones), len(cells))
	}
	l, _ := published(t, p)
	accessible := 0
	for _, z := range l.Zones {
		for _, r := range z.Rows {
			accessible += len(r.Accessible)
			if r.Label == "6" && len(r.Accessible) != len(r.IDs) {
				t.Errorf("%s row 6 has %d wheelchair places of %d", z.Name, len(r.Accessible), len(r.IDs))
			}
		}
	}
	if accessible != 30 {
		t.Errorf("%d wheelchair places, want 30", accessible)
	}
	// Zone E at 1220,80 with its drawing at -900,420 and the text in that.
	if len(l.Decor) != 1 || l.Decor[0].X != 320 || l.Decor[0].Y != 500 || l.Decor[0].Text.X != 1220 || l.Decor[0].Text.Text != "Spielfeld" {
		t.Errorf("got %+v", l.Decor)
	}
	// Block D at 400,80, row 14 at 0,0, its first seat at -355,0.
	first := l.Zones[0].Rows[0]
	if first.X[0] != 45 || first.Y[0] != 80 || first.IDs[0] != "80484ee8-8e01-505d-b44e-1e8cce5e75d4" || first.Category != float64(1) {
		t.Errorf("got %+v", first)
	}
}

// What clients address by ordinal and what the allocator sells must be the same cell.
func TestLayoutAndCellsAgreeOnEveryOrdinal(t *testing.T) {
	for name, p := range plans(t) {
		t.Run(name, func(t *testing.T) {
			cells := p.Cells()
			l, _ := published(t, p)
			seen := 0
			for _, z := range l.Zones {
				for _, r := range z.Rows {
					for i, id := range r.IDs {
						c := cells[r.First+i]
						category, mixed := r.Category.([]any)
						index := r.Category
						if mixed {
							index = category[i]
						}
						if c.ID != id || c.Ordinal != r.First+i || float64(c.Category) != index {
							t.Fatalf("ordinal %d is %+v, the layout says %s of category %v", r.First+i, c, id, index)
						}
						seen++
					}
				}
			}
			for _, a := range l.Areas {
				for i := range a.Capacity {
					if c := cells[a.First+i]; c.Area != a.ID || c.Category != a.Category {
						t.Fatalf("ordinal %d is %+v, the layout says area %s", a.First+i, c, a.ID)
					}
					seen++
				}
			}
			if seen != len(cells) {
				t.Errorf("the layout shows %d of %d cells", seen, len(cells))
			}
		})
	}
}

func plans(t testing.TB) map[string]*Plan {
	t.Helper()
	generated := func(seats, standing int) *Plan {
		p, err := Generate(Ask{Seats: seats, Standing: standing})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return map[string]*Plan{
		"real hall": parsed(t, realHall(t)), "stadium": generated(50_000, 0),
		"concert": generated(20_000, 12_000), "room": generated(500, 0), "field": generated(0, 300),
	}
}

func TestAGeneratedStadiumIsExactSoundAndTheSameEveryTime(t *testing.T) {
	for _, ask := range []Ask{{Seats: 1}, {Seats: 500}, {Seats: 50_000}, {Seats: 150_000, Standing: 50_000}, {Standing: 7}} {
		p, err := Generate(ask)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(p.Cells()); n != ask.Seats+ask.Standing {
			t.Errorf("asked for %d and %d, got %d", ask.Seats, ask.Standing, n)
		}
		var file bytes.Buffer
		if err := p.Write(&file); err != nil {
			t.Fatal(err)
		}
		read := parsed(t, file.Bytes())
		_, hash := published(t, read)
		again, err := Generate(ask)
		if err != nil {
			t.Fatal(err)
		}
		if _, want := published(t, again); hash != want {
			t.Errorf("%+v: written, read and published differs from generated and published", ask)
		}
	}
	for _, ask := range []Ask{{}, {Seats: -1, Standing: 5}, {Seats: MaxCells + 1}, {Seats: MaxCells, Standing: 1}, {Seats: 1, Standing: math.MaxInt}} {
		if _, err := Generate(ask); err == nil {
			t.Errorf("%+v was generated", ask)
		}
	}
}

// A seat on another would be one that nobody can click.
func TestNoTwoGeneratedSeatsAreInOnePlace(t *testing.T) {
	p, err := Generate(Ask{Seats: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	type square struct{ x, y int }
	at := map[square][]Point{}
	tooNear := 0
	p.eachPoint(func(q Point) {
		s := square{int(q.X / seatPitch), int(q.Y / seatPitch)}
		for dx := -1; dx <= 1; dx++ {
			for dy := -1; dy <= 1; dy++ {
				for _, other := range at[square{s.x + dx, s.y + dy}] {
					if math.Hypot(other.X-q.X, other.Y-q.Y) < seatPitch*0.9 {
						tooNear++
					}
				}
			}
		}
		at[s] = append(at[s], q)
	})
	if tooNear > 0 {
		t.Errorf("%d seats are nearer than %g to another", tooNear, seatPitch*0.9)
	}
	accessible, categories := 0, map[string]int{}
	for _, z := range p.Zones {
		for _, r := range z.Rows {
			for _, s := range r.Seats {
				categories[s.Category]++
				if s.Wheelchair {
					accessible++
				}
			}
		}
	}
	if accessible < 50 || len(categories) != 4 {
		t.Errorf("%d wheelchair places, categories %v", accessible, categories)
	}
}

func TestBrokenPlansAreRefusedWithThePathOfTheFault(t *testing.T) {
	const seat = `{"seat_guid":"a","seat_number":"1","category":"c","position":{"x":1,"y":2}}`
	plan := func(seats ...string) string {
		return `{"name":"p","categories":[{"name":"c"}],"zones":[{"position":{"x":0,"y":0},"rows":[{"row_number":"1","seats":[` +
			strings.Join(seats, ",") + `]}]}]}`
	}
	area := func(members string) string {
		return strings.Replace(plan(seat), `"rows"`, `"areas":[{"position":{"x":0,"y":0},`+members+`}],"rows"`, 1)
	}
	with := func(old, new string) string { return plan(strings.Replace(seat, old, new, 1)) }
	parsed(t, []byte(plan(seat)))
	parsed(t, []byte(with(`"1"`, `17`)))
	for name, tt := range map[string]struct{ plan, path, what string }{
		"not JSON":              {`{"name":`, "", "not JSON"},
		"another kind":          {`[]`, "", "cannot be"},
		"no seats":              {`{"zones":[]}`, "zones", "no seats"},
		"guid twice":            {plan(seat, seat), "zones[0].rows[0].seats[1].seat_guid", "duplicate of zones[0].rows[0].seats[0].seat_guid"},
		"guid missing":          {with(`"a"`, `""`), "zones[0].rows[0].seats[0].seat_guid", "missing"},
		"guid with a space":     {with(`"a"`, `"a b"`), "zones[0].rows[0].seats[0].seat_guid", "space"},
		"guid with a brace":     {with(`"a"`, `"a{b"`), "zones[0].rows[0].seats[0].seat_guid", "brace"},
		"guid too long":         {with(`"a"`, `"`+strings.Repeat("a", 65)+`"`), "zones[0].rows[0].seats[0].seat_guid", "65 bytes"},
		"guid of another kind":  {with(`"a"`, `7`), "zones[0].rows[0].seats[0].seat_guid", "cannot be a number"},
		"seat number broken":    {with(`"1"`, `1.5`), "zones[0].rows[0].seats[0].seat_number", "cannot be a number"},
		"category unknown":      {with(`"c"`, `"d"`), "zones[0].rows[0].seats[0].category", "none of the plan's"},
		"position missing":      {with(`,"position":{"x":1,"y":2}`, ``), "zones[0].rows[0].seats[0].position", "missing"},
		"position infinite":     {with(`"x":1`, `"x":1e999`), "zones[0].rows[0].seats[0].position.x", "1e999"},
		"position far":          {with(`"x":1`, `"x":1e7`), "zones[0].rows[0].seats[0].position.x", "beyond"},
		"position a word":       {with(`"x":1`, `"x":"1"`), "zones[0].rows[0].seats[0].position.x", "cannot be a string"},
		"zone not an object":    {`{"zones":[3]}`, "zones[0]", "cannot be"},
		"rows not a list":       {`{"zones":[{"position":{"x":0,"y":0},"rows":{}}]}`, "zones[0].rows", "cannot be"},
		"long name":             {strings.Replace(plan(seat), `"p"`, `"`+strings.Repeat("p", 201)+`"`, 1), "name", "201 bytes"},
		"control characters":    {strings.Replace(plan(seat), `"p"`, `"p\u0000"`, 1), "name", "control"},
		"category twice":        {strings.Replace(plan(seat), `{"name":"c"}`, `{"name":"c"},{"name":"c"}`, 1), "categories[1].name", "duplicate"},
		"colour that is markup": {strings.Replace(plan(seat), `"c"}`, `"c","color":"red;\"><script>"}`, 1), "categories[0].color", "no colour"},
		"shape unknown":         {area(`"shape":"heart"`), "zones[0].areas[0].shape", "no shape"},
		"shape without size":    {area(`"shape":"circle"`), "zones[0].areas[0].circle", "missing"},
		"area of none":          {area(`"shape":"text","text":{"text":"x"},"standing":{"id":"S","name":"s","category":"c","capacity":0}`), "zones[0].areas[0].standing.capacity", "0 is not"},
		"area without id":       {area(`"shape":"text","text":{"text":"x"},"standing":{"name":"s","category":"c","capacity":1}`), "zones[0].areas[0].standing.id", "no id"},
		"area id with a colon":  {area(`"shape":"text","text":{"text":"x"},"standing":{"id":"a:b","name":"s","category":"c","capacity":1}`), "zones[0].areas[0].standing.id", "no id"},
		"area of no category":   {area(`"shape":"text","text":{"text":"x"},"standing":{"id":"S","name":"s","category":"d","capacity":1}`), "zones[0].areas[0].standing.category", "none of"},
		"too deep":              {strings.Repeat("[", 30) + strings.Repeat("]", 30), "", "nested 30 deep"},
		"not UTF-8":             {"{\"name\":\"\xff\"}", "", "UTF-8"},
	} {
		_, err := Parse([]byte(tt.plan))
		var fault *Fault
		if !errors.As(err, &fault) || fault.Path != tt.path || !strings.Contains(fault.What, tt.what) {
			t.Errorf("%s: got %v, want %q at %q", name, err, tt.what, tt.path)
		}
	}
}

func TestTheLimitsOfAPlanHold(t *testing.T) {
	if _, err := Read(strings.NewReader(strings.Repeat(" ", MaxBytes+1))); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("an oversized file: %v", err)
	}
	p, err := Generate(Ask{Seats: MaxCells})
	if err != nil {
		t.Fatal(err)
	}
	p.Zones[0].Rows[0].Seats = append(p.Zones[0].Rows[0].Seats, Seat{GUID: "one-more", Category: "Category 1"})
	for i := range p.Zones { // short enough to be within MaxBytes
		for k := range p.Zones[i].Rows {
			for n := range p.Zones[i].Rows[k].Seats {
				p.Zones[i].Rows[k].Seats[n].Position = Point{}
			}
		}
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(b); err == nil || !strings.Contains(err.Error(), "more than 200000 seats") {
		t.Errorf("one seat too many: %v", err)
	}
}

func TestAPlanThatReachesBelowZeroIsMovedAsAWhole(t *testing.T) {
	p := parsed(t, []byte(`{"categories":[{"name":"c"}],"size":{"width":10,"height":10},"zones":[{"position":{"x":-100,"y":5},"rows":[{"seats":[
		{"seat_guid":"a","category":"c","position":{"x":0,"y":0}},{"seat_guid":"b","category":"c","position":{"x":30,"y":0}}]}]}]}`))
	l, _ := published(t, p)
	if got := l.Zones[0].Rows[0].X; !reflect.DeepEqual(got, []coordinate{40, 70}) || l.Size.Width < 70 {
		t.Errorf("seats at %v in a plan %v wide", got, l.Size.Width)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(realHall(f)[:2000])
	f.Add([]byte(`{"categories":[{"name":"c"}],"zones":[{"position":{"x":-100,"y":5},"rows":[{"seats":[{"seat_guid":"a","category":"c","position":{"x":0,"y":0}}]}],
		"areas":[{"shape":"circle","circle":{"radius":4},"position":{"x":1,"y":1},"standing":{"id":"S","name":"s","category":"c","capacity":3}}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			var fault *Fault
			if !errors.As(err, &fault) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if _, _, err := p.Layout(); err != nil {
			t.Fatalf("a sound plan cannot be published: %v", err)
		}
	})
}
