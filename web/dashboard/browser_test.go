package dashboardpage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }

// edge plays the edge to the page: what the numbers are is the test's to say.
type edge struct {
	*httptest.Server
	mu    sync.Mutex
	rooms []map[string]any // nil: it answers 503
}

func newEdge(t *testing.T, rooms ...map[string]any) *edge {
	t.Helper()
	e := &edge{rooms: rooms}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", CSP)
			_, _ = w.Write(Page)
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if r.URL.Path != "/rooms.json" || e.rooms == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(e.rooms)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *edge) say(rooms ...map[string]any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rooms = append([]map[string]any{}, rooms...)
}

// room is a report in the middle of a sale, with changes.
func room(changes map[string]any) map[string]any {
	r := map[string]any{
		"room": "arena", "state": "open", "degraded": false, "settingsDiffer": false, "waiting": 48211, "turns": 12,
		"active": 1893, "activeCap": 2000, "rate": 500, "ratePerSeconds": 60, "admittedTotal": 7310, "admittedPerMinute": 498.4,
		"noShowsTotal": 41, "edges": 3, "edgesUnwell": 1, "streams": 47002, "message": "", "inventory": true,
		"notes": []any{}, "orders": []any{
			order("settings", nil, map[string]string{"admit": "500/m", "active": "2000"}, map[string]string{"edge": "edge-1:7", "reason": "this edge loaded its config"}),
			order("rate", map[string]string{"admit": "500/m", "burst": "8"}, map[string]string{"admit": "20/s", "burst": "20"}, map[string]string{"user": "ada", "host": "ops-1", "edge": "edge-1:7"}),
			order("pause", map[string]string{"paused": "false"}, map[string]string{"paused": "true"}, map[string]string{"user": "ada", "host": "ops-1", "edge": "edge-1:7", "reason": "the site is slow"}),
		},
		"stock": map[string]any{"state": "available", "capacity": 50000, "free": 38120, "held": 1830, "booked": 10050},
	}
	for k, v := range changes {
		r[k] = v
	}
	return r
}

func order(what string, before, after, by map[string]string) map[string]any {
	return map[string]any{"number": 1, "at": "2026-12-01T10:02:03.5Z", "what": what, "before": before, "after": after, "by": by}
}

// openTab opens an operator's browser, which may speak to the edge only.
func openTab(t *testing.T, e *edge) tab {
	t.Helper()
	return tab{browsertest.NewTab(t, e.URL)}
}

type tab struct{ *browsertest.Tab }

// reads waits until a figure of a room has a value.
func (b tab) reads(label, value string) {
	b.T.Helper()
	b.Until("the page says "+label, fmt.Sprintf(`[...document.querySelectorAll(".figures div")].some(d => d.checkVisibility() && d.querySelector("dt").textContent === %q && d.querySelector("dd").textContent === %q)`, label, value))
}

func TestTheNumbersAreLiveAndTheirAgeIsTold(t *testing.T) {
	e := newEdge(t, room(nil))
	b := openTab(t, e)
	b.Screen(1280, 900, "light").Open("/")
	for label, value := range map[string]string{
		"Waiting": "48,211", "Admission rate": "500/min", "Admitted, last minute": "498", "Admitted in all": "7,310",
		"Inside now, of 2,000": "1,893", "Held": "1,830", "Booked": "10,050", "No-shows": "41", "Streams, this edge": "47,002", "Edges, 1 unwell": "3",
	} {
		b.reads(label, value)
	}
	b.Until("the state is shown", `document.querySelector(".state").textContent === "open"`)
	b.Until("it says that it is live", `document.getElementById("age").textContent === "Live"`)
	b.Until("the title tells it too", `document.title === "48,211 waiting"`)

	b.Until("the card is remembered", `(window.card = document.querySelector(".card"))`)
	e.say(room(map[string]any{"waiting": 5, "state": "paused", "message": "<b>Back soon</b>", "ratePerSeconds": 1, "rate": 20}))
	b.reads("Waiting", "5")
	b.reads("Admission rate", "20/s")
	b.Until("it is paused", `document.querySelector(".state").textContent === "paused"`)
	b.Until("the message is text", `document.querySelector(".message").textContent === "Fans read: <b>Back soon</b>" && !document.querySelector(".message b")`)
	b.Until("the card is the same element", `document.querySelector(".card") === window.card`)

	e.say()
	b.Until("it says that there are none", `document.getElementById("rooms").textContent.includes("no waiting rooms")`)
	e.say(room(map[string]any{"stock": nil}), room(map[string]any{"room": "club", "inventory": false, "stock": nil, "orders": nil, "notes": []any{
		map[string]any{"bad": true, "text": "Redis is away. <i>Fans</i> keep their places."}, map[string]any{"bad": false, "text": "All 2000 passes are in use."},
	}}))
	b.Until("both rooms are shown", `document.querySelectorAll(".card").length === 2`)
	b.Until("what is wrong is told in the edge's words, as text", `(([a, b]) => a.hidden && b.checkVisibility() && !b.querySelector("i") &&
		[...b.children].map(li => li.className + ":" + li.textContent).join("|") === "bad:Redis is away. <i>Fans</i> keep their places.|:All 2000 passes are in use.")([...document.querySelectorAll(".notes")])`)
	b.Until("the last orders are shown, newest first", `[...document.querySelectorAll(".orders")].map(o => o.hidden ? "hidden" : [...o.querySelectorAll("li")].map(li => li.textContent).join("|")).join("||") ===
		"10:02:03 UTC · pause · ada at ops-1 · the site is slow|10:02:03 UTC · rate: admit 500/m → 20/s, burst 8 → 20 · ada at ops-1|10:02:03 UTC · settings: active 2000, admit 500/m · edge edge-1:7 · this edge loaded its config||hidden"`)
	b.Until("without stock no bar is shown", `[...document.querySelectorAll(".stock")].every(s => s.hidden)`)

	e.mu.Lock()
	e.rooms = nil
	e.mu.Unlock()
	b.Until("old numbers are called old", `/^These numbers are \d+ s old: the edge answers 503\.$/.test(document.getElementById("age").textContent)`)
	b.Until("and look it", `document.getElementById("rooms").classList.contains("late")`)
	e.say(room(nil))
	b.Until("and it goes on by itself", `document.getElementById("age").textContent === "Live"`)
}

func TestThePageFitsEveryScreenInBothSchemes(t *testing.T) {
	long := room(map[string]any{"room": strings.Repeat("a-very-long-room-", 4) + "x", "waiting": 4_872_004, "admittedTotal": 1_234_567, "active": 123_456, "activeCap": 200_000,
		"message": strings.Repeat("wideword", 40), "notes": []any{map[string]any{"bad": true, "text": strings.Repeat("notewithoutspaces", 20)}},
		"orders": []any{order("message", nil, map[string]string{"message": strings.Repeat("<wide>", 80)}, map[string]string{"user": strings.Repeat("u", 100), "host": strings.Repeat("h", 100), "reason": strings.Repeat("r", 300)})}})
	e := newEdge(t, long, room(map[string]any{"room": "club", "state": "sold-out"}))
	b := openTab(t, e)
	for _, size := range [][2]int64{{320, 568}, {390, 844}, {768, 1024}, {1280, 900}} {
		for _, scheme := range []string{"light", "dark"} {
			b.Screen(size[0], size[1], scheme).Open("/")
			b.reads("Waiting", "4,872,004")
			b.Until(fmt.Sprintf("nothing is wider than %d px", size[0]), `document.documentElement.scrollWidth <= innerWidth`)
			b.Until("no figure is cut off or covers another", `[...document.querySelectorAll(".figures dd")].every(d => d.hidden || d.scrollWidth <= d.clientWidth + 1)`)
			b.Until("text can be told from its ground", contrast)
		}
	}
}

// contrast is an expression: every text of the page has at least 4.5:1 (WCAG 1.4.3).
const contrast = `(() => {
	const rgb = c => c.match(/[\d.]+/g).map(Number);
	const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if ((rgb(c)[3] ?? 1) > 0) return c; } return "rgb(255,255,255)"; };
	return [...document.querySelectorAll("h1,h2,h3,p,li,dt,dd,figcaption")].filter(e => e.checkVisibility() && e.textContent).every(e => {
		const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
		return (a + .05) / (b + .05) >= 4.5;
	});
})()`
