//go:build shots

package waitroompage

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/pow"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// TestShots takes pictures of the page for people to look at:
//
//	SHOTS=/tmp/shots go test -tags shots -run TestShots ./web/waitroom
func TestShots(t *testing.T) {
	folder := browsertest.Shots(t)
	opens := time.Now().Add(12*time.Minute + 34*time.Second)
	unlikely := waiting()
	unlikely.Chance, unlikely.Position, unlikely.Ahead, unlikely.Waiting = room.ChanceUnlikely, 1204331, 1204330, 3872004
	unlikely.ETA = &room.ETARange{Low: 15000, High: 26000}
	unlikely.Message = "The doors of the hall open at 18:00. Tickets bought from others are not valid."
	for name, c := range map[string]struct {
		status   room.Status
		joined   bool
		degraded bool
		play     func(*stage, *browsertest.Tab)
	}{
		"waiting": {waiting(), true, false, func(s *stage, b *browsertest.Tab) {
			next := line(720)
			next["stock"] = waiting().Stock
			s.send("position", next)
			b.Reads("position", "720")
			b.Until("the bar has moved", "true")
		}},
		"unlikely": {unlikely, true, false, nil},
		"lobby":    {room.Status{State: "lobby", Opens: &opens, Waiting: 48211, Stock: waiting().Stock}, true, false, nil},
		"drawing":  {room.Status{State: "drawing", Opens: &opens, Waiting: 48211, Stock: waiting().Stock}, true, false, nil},
		"drawn":    {drawnStatus(), true, false, func(s *stage, b *browsertest.Tab) { askHow(s, b, "true") }},
		"undrawn": {drawnStatus(), true, false, func(s *stage, b *browsertest.Tab) {
			s.drawn.own.Score++
			askHow(s, b, "false")
		}},
		"early": {room.Status{State: "scheduled", Opens: &opens}, false, false, nil},
		"joining": {waiting(), false, false, func(s *stage, b *browsertest.Tab) {
			b.State("joining")
			b.Until("some is done", `document.getElementById("work").value > 0.2`)
		}},
		"turn": {waiting(), true, false, func(s *stage, b *browsertest.Tab) {
			s.refuse("claim", refusal{status: 503, code: "unavailable", retry: "60"})
			s.send("admitted", map[string]string{"state": "admitted", "claimBy": time.Now().Add(2 * time.Minute).Format(time.RFC3339)})
			b.Until("it tries", `document.getElementById("link").dataset.link === "lost"`)
		}},
		"missed": {waiting(), true, false, func(s *stage, b *browsertest.Tab) {
			s.refuse("claim", refusal{status: 410, code: "turn-missed"})
			s.send("admitted", map[string]string{"state": "admitted"})
			b.State("missed")
		}},
		"sold-out": {room.Status{State: "sold-out"}, true, false, nil},
		"problem": {func() room.Status {
			s := waiting()
			s.ETA, s.Degraded, s.Message = nil, true, "We are having a technical problem. Your place is safe; please stay on this page."
			return s
		}(), true, true, nil},
		"lost": {waiting(), true, false, func(s *stage, b *browsertest.Tab) {
			s.write("retry: 60000\n\n")
			s.send("position", line(900))
			b.Reads("position", "900")
			s.drop()
			b.Until("it says so", `document.getElementById("link").dataset.link === "lost"`)
		}},
		"still": {waiting(), true, false, nil},
		"leave": {waiting(), true, false, func(s *stage, b *browsertest.Tab) { b.Do("opening", chromedp.Click("#leave summary")) }},
	} {
		for _, scheme := range []string{"light", "dark"} {
			for size, dims := range map[string][2]int64{"phone": {390, 844}, "desktop": {1280, 900}, "small": {320, 568}} {
				t.Run(name+"-"+size+"-"+scheme, func(t *testing.T) {
					if size == "small" && scheme == "dark" {
						return
					}
					s := newStage(t, c.status, c.joined)
					s.page.Degraded = c.degraded
					s.work = pow.Work{Count: 64, Bits: 20, Life: time.Minute}
					s.drawn = drawnBy(t, s.page.Status.Visitor, 48210, 2, draw.DrandAfter(noon), "what the world agreed on, in 32 by")
					b := openTab(t, s)
					b.Screen(dims[0], dims[1], scheme)
					if name == "still" {
						b.Still()
					}
					b.Open("/")
					if c.play != nil {
						c.play(s, b)
					}
					b.Value(`new Promise(done => setTimeout(done, 1))`)
					b.Shot(folder, name+"-"+size+"-"+scheme, chromedp.FullScreenshot(100))
				})
			}
		}
	}
}

func drawnStatus() room.Status {
	s := waiting()
	s.Drawn = true
	return s
}

func askHow(s *stage, b *browsertest.Tab, holds string) {
	b.Do("asking how", chromedp.Click("#drawn summary"))
	b.Until("it has checked", `document.getElementById("verdict").dataset.holds === "`+holds+`"`)
}
