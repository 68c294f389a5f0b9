// Package waitroompage is the page on which fans wait. It is drawn whole on the
// server, so that a browser without scripts sees the same as any other, and kept
// current by a script where there is one. It makes no request to any other host.
//
// The words are in one place (words.go) and serve both sides. The script is in
// script/, one idea a file, and is sent as one.
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
	Full     bool   // there is no room, and no places are given
	Degraded bool   // Redis is away; Status may say so as well
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
	Text     string
	Title    string
	Message  string
	Numbers  bool
	Position string
	Ahead    string
	Waiting  string
	ETA      string
	Chance   string
	Crowd    bool
	OnePlace string // what having it on two devices means
	Tier     string // the fan's own and those let in before it, where there are tiers
	Opening  string // what the countdown leads to; empty without one
	Opens    string
	Left     string // until then
	Stock    stock
	Action   func(string) string
	Script   string
	Style    string
	Still    string
	Data     template.JS
	CanJoin  bool
	CanLeave bool
	CanEnter bool
	CanRetry bool
	Drawn    bool   // the fan can ask how the place was drawn
	Check    string // path of the script that answers
	Refresh  int    // seconds until a browser without scripts looks again; 0 for never
	Outcomes []struct{ ID, Text string }
}

// Render writes the page.
func Render(w io.Writer, p Page) error {
	p.Status.Degraded = p.Status.Degraded || p.Degraded
	v, err := p.view()
	if err != nil {
		return err
	}
	var out bytes.Buffer // a page that cannot be drawn is not sent in half
	if err := page.Execute(&out, v); err != nil {
		return fmt.Errorf("drawing the waiting-room page: %w", err)
	}
	_, err = out.WriteTo(w)
	return err
}

func (p Page) view() (*view, error) {
	state, s := stateOf(p), p.Status
	waits := state == room.FanWaiting || state == string(room.Paused) || state == pageDegraded
	said := words[scene(state, s.Method)]
	numbers := (waits || state == string(room.Lobby)) && s.Position > 0
	v := &view{
		Page: p, State: state, Words: said, Text: said.Text, Title: said.Title, Message: s.Message,
		Position: grouped(s.Position), Ahead: ahead(s.Ahead), Waiting: grouped(s.Waiting), ETA: "not known yet",
		Numbers: numbers,
		Crowd:   !numbers && (s.State == string(room.Lobby) || s.State == pageDrawing) && s.Waiting > 0,
		Stock:   stockOf(s.Stock, p.Now),
		Action:  func(do string) string { return p.Base + do + "?to=" + url.QueryEscape(p.Location) },
		Script:  scriptPath(), Style: stylePath(), Still: stillPath(), Check: checkPath(),
		CanJoin:  state == pageJoining || state == pageMissed,
		CanRetry: state == pageNoRoom,
		CanEnter: state == room.FanAdmitted,
		CanLeave: p.Joined && (waits || state == string(room.Lobby) || state == pageDrawing),
		Drawn:    p.Joined && s.Drawn && (waits || state == string(room.SoldOut) || state == string(room.Closed)),
		Outcomes: outcomes, OnePlace: onePlace,
	}
	if state == pageJoining {
		v.Text = textBeforeScript
	}
	if v.CanLeave {
		v.Tier = tiers(s.Tier, s.TiersAhead)
	}
	if state == pageDegraded && s.Message != "" { // said once
		v.Text, v.Message = s.Message, ""
	}
	if v.Numbers {
		v.Title = v.Position + " · " + v.Title
		v.Chance = chances[s.Chance]
		if s.ETA != nil {
			v.ETA = between(s.ETA.Low, s.ETA.High)
		}
	}
	if opening, ok := openings[scene(s.State, s.Method)]; ok && s.Opens != nil {
		left := int64(max(0, s.Opens.Sub(p.Now)).Seconds())
		v.Opening, v.Opens, v.Left = opening, s.Opens.UTC().Format("2 January 2006, 15:04 MST"), between(left, left)
		if s.State == pageDrawing { // it may take a moment or some minutes: nothing is promised
			v.Left = ""
		}
	}
	if state != string(room.SoldOut) && state != string(room.Closed) {
		v.Refresh = max(2, s.PollAfter)
	}
	data, err := v.data()
	v.Data = template.JS(data) //nolint:gosec // encoding/json has escaped <, > and & in it
	return v, err
}

// scene is the key of the words for a state: in a lobby they depend on what the order
// will be.
func scene(state string, method room.Method) string {
	if state == string(room.Lobby) && method == room.Fifo {
		return sceneEarly
	}
	return state
}

// stateOf is the key of the words that fit. The script decides in the same order.
func stateOf(p Page) string {
	switch s := p.Status.State; {
	case p.Missed:
		return pageMissed
	case s == room.FanAdmitted || s == room.FanActive:
		return room.FanAdmitted
	case s == string(room.SoldOut) || s == string(room.Closed) || s == string(room.Scheduled):
		return s
	case p.Full:
		return pageNoRoom
	case !p.Joined:
		return pageJoining
	case s == string(room.Lobby):
		return s
	case p.Status.Degraded || p.Degraded:
		return pageDegraded
	case s == pageDrawing:
		return s
	case s == string(room.Paused):
		return s
	}
	return room.FanWaiting
}

// data is what the script begins with.
func (v *view) data() ([]byte, error) {
	start := struct {
		Status   room.Status `json:"status"`
		State    string      `json:"state"`
		Joined   bool        `json:"joined"`
		Base     string      `json:"base"`
		Location string      `json:"location"`
		Now      int64       `json:"now"` // ms
		// Decimals by currency: a browser's own table may differ from ours.
		Digits map[string]int `json:"digits"`
	}{v.Status, v.State, v.Joined, v.Base, v.Location, v.Now.UnixMilli(), make(map[string]int)}
	if s := v.Status.Stock; s != nil {
		if n, err := money.Exponent(s.Currency); err == nil {
			start.Digits[s.Currency] = n
		}
	}
	out, err := json.Marshal(start)
	if err != nil {
		return nil, fmt.Errorf("writing the data of the waiting-room page: %w", err)
	}
	return out, nil
}

// ahead says how many are ahead.
func ahead(n int) string {
	if n <= 0 {
		return "nobody"
	}
	return grouped(n)
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
