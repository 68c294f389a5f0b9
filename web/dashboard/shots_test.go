//go:build shots

package dashboardpage

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
)

// TestShots takes pictures of the page for people to look at:
//
//	SHOTS=/tmp/shots go test -tags shots -run TestShots ./web/dashboard
func TestShots(t *testing.T) {
	folder := browsertest.Shots(t)
	worst := []any{
		map[string]any{"bad": true, "text": "The room is paused since 10:02:03 UTC by ada (the site is slow). Nobody is let in until: caddy-tickets room resume arena"},
		map[string]any{"bad": true, "text": "This edge finds the site behind the room unwell (it answers 503)."},
		map[string]any{"bad": true, "text": "In force is something else than this edge's file says: admit is 20/s (here 500/m), burst is 20 (here 8). Another edge or an operator changed it later; the next file that is loaded anywhere decides."},
		map[string]any{"bad": true, "text": "The seat service has not said what is left. Until it does, stock holds nobody back."},
		map[string]any{"bad": false, "text": "Nobody is let in at the moment: all 2000 passes are in use."},
	}
	for name, rooms := range map[string][]map[string]any{
		"open": {room(nil)},
		"two": {
			room(map[string]any{"state": "paused", "message": "A technical problem. Your place is safe; we go on in ten minutes."}),
			room(map[string]any{"room": "club-night", "state": "sold-out", "waiting": 0, "stock": map[string]any{"state": "sold-out", "capacity": 500, "booked": 500, "free": 0, "held": 0}}),
		},
		"trouble": {room(map[string]any{"stock": nil, "notes": worst})},
	} {
		e := newEdge(t, rooms...)
		b := openTab(t, e)
		for _, scheme := range []string{"light", "dark"} {
			for size, dims := range map[string][2]int64{"phone": {390, 844}, "small": {320, 568}, "desktop": {1280, 900}} {
				b.Screen(dims[0], dims[1], scheme).Open("/")
				b.Until("numbers are shown", `document.querySelectorAll(".card").length > 0`)
				for i := range 3 { // so that there is a line to look at
					e.mu.Lock()
					rooms[0]["waiting"] = []int{48211, 40100, 44800}[i]
					e.mu.Unlock()
					b.Until("it moves", `document.querySelector("polyline").getAttribute("points").split(" ").length > `+string(rune('1'+i)))
				}
				b.Shot(folder, name+"-"+size+"-"+scheme, chromedp.FullScreenshot(100))
			}
		}
	}
}
