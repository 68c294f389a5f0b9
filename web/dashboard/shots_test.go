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
	for name, rooms := range map[string][]map[string]any{
		"open": {room(nil)},
		"two": {
			room(map[string]any{"state": "paused", "message": "A technical problem. Your place is safe; we go on in ten minutes."}),
			room(map[string]any{"room": "club-night", "state": "sold-out", "waiting": 0, "stock": map[string]any{"state": "sold-out", "capacity": 500, "booked": 500, "free": 0, "held": 0}}),
		},
		"trouble": {room(map[string]any{"degraded": true, "settingsDiffer": true, "stock": nil})},
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
