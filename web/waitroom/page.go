// Package waitroompage is the page on which fans wait. It is drawn whole on the
// server, so that a browser without scripts sees the same as any other, and kept
// current by a script where there is one. It makes no request to any other host.
//
// The words are in one place (words.go) and serve both sides.
package waitroompage

import (
	"bytes"
	_ "embed" // for the template
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/money"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// Page is what one fan sees now.
type Page struct {
	Status   room.Status
	Joined   bool   // the fan has a place
	Degraded bool   // Redis is away
	Missed   bool   // the fan's turn has passed unclaimed
	Base     string // of the room's endpoints: "/.waitroom/arena/"
	Location string // local path that the fan wanted
	Now      time.Time
}

//go:embed page.html
var source string

var page = template.Must(template.New("page").Parse(source))

// view is what the template shows.
type view struct {
	Page
	State    string
	Words    Words
	Numbers  bool
	Position string
	Ahead    string
	Waiting  string
	ETA      string
	Chance   string
	Stock    []stockLine
	To       string // ?to= of the forms
	Script   string
	Style    string
	Data     template.JS
	CanJoin  bool
	CanLeave bool
	CanEnter bool
}

type stockLine struct{ Name, Price, Left string }

// Render writes the page.
func Render(w io.Writer, p Page) error {
	state := stateOf(p)
	v := view{
		Page: p, State: state, Words: words[state],
		Position: grouped(p.Status.Position), Ahead: grouped(p.Status.Ahead), Waiting: grouped(p.Status.Waiting),
		Numbers: p.Status.Position > 0 && (state == "waiting" || state == "paused" || state == "degraded"),
		Chance:  chances[p.Status.Chance], Stock: stockOf(p.Status.Stock),
		To: "?to=" + url.QueryEscape(p.Location), Script: scriptPath(), Style: stylePath(),
		CanJoin:  state == "joining" || state == "missed" || state == "lobby" && !p.Joined,
		CanEnter: state == "admitted",
		CanLeave: p.Joined && (state == "waiting" || state == "paused" || state == "lobby" || state == "degraded"),
	}
	if p.Status.ETA != nil {
		v.ETA = between(p.Status.ETA.Low, p.Status.ETA.High)
	}
	data, err := v.data()
	if err != nil {
		return err
	}
	v.Data = template.JS(data) //nolint:gosec // encoding/json has escaped <, > and & in it
	var out bytes.Buffer       // a page that cannot be drawn is not sent in half
	if err := page.Execute(&out, v); err != nil {
		return fmt.Errorf("drawing the waiting-room page: %w", err)
	}
	_, err = out.WriteTo(w)
	return err
}

// stateOf is the key of the words that fit.
func stateOf(p Page) string {
	switch s := p.Status.State; {
	case p.Missed:
		return "missed"
	case s == room.FanAdmitted || s == room.FanActive:
		return "admitted"
	case s == string(room.SoldOut) || s == string(room.Closed) || s == string(room.Scheduled) || s == string(room.Lobby):
		return s
	case !p.Joined:
		return "joining"
	case p.Degraded:
		return "degraded"
	case s == string(room.Paused):
		return "paused"
	}
	return "waiting"
}

// data is what the script begins with.
func (v *view) data() ([]byte, error) {
	return json.Marshal(map[string]any{
		"status": v.Status, "state": v.State, "joined": v.Joined, "base": v.Base, "location": v.Location,
		"now": v.Now.UnixMilli(), "words": words, "chances": chances, "solver": solverPath(),
	})
}

func stockOf(s *room.Stock) []stockLine {
	if s == nil || s.State == room.StockNotOpen {
		return nil
	}
	lines := make([]stockLine, 0, len(s.Categories))
	for _, c := range s.Categories {
		left := grouped(c.Free) + " left"
		switch {
		case c.Free == 0 && c.Held > 0:
			left = "all held, may come back"
		case c.Free == 0:
			left = "sold out"
		}
		lines = append(lines, stockLine{c.Name, money.Format(c.Price, s.Currency), left})
	}
	return lines
}

// CSP is the policy of the page: nothing from anywhere else. stream is the
// origin of the stream where that is another.
func CSP(stream string) string {
	connect := "'self'"
	if stream != "" {
		connect += " " + stream
	}
	return "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; connect-src " + connect +
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
}
