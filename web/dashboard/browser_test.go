package dashboardpage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds a step in a browser on a busy machine.
const patience = 30 * time.Second

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
		"noShowsTotal": 41, "streams": 47002, "message": "", "inventory": true,
		"stock": map[string]any{"state": "available", "capacity": 50000, "free": 38120, "held": 1830, "booked": 10050},
	}
	for k, v := range changes {
		r[k] = v
	}
	return r
}

// tab is an operator's browser. When the test ends it must have spoken to the edge
// only, broken no policy and thrown nothing.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	asked  []string
	errors []string
}

func openTab(t *testing.T, e *edge) *tab {
	t.Helper()
	program := ""
	for _, candidate := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(candidate); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Fatal("no browser; install one with: sudo apt-get install -y --no-install-recommends chromium")
	}
	profile, err := os.MkdirTemp("", "dashboard-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(program), chromedp.UserDataDir(profile), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true))
	ctx, stop := chromedp.NewContext(allocator)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		stop()
		stopAllocator()
		b.check(e)
	})
	if err := chromedp.Do(ctx); err != nil { // without a deadline: the browser lives as long as this context
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	return b
}

func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, fmt.Sprintf("exception: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *log.EventEntryAdded:
		if e.Entry.Source != log.EntrySourceNetwork { // an edge that refuses is what some tests are about
			b.errors = append(b.errors, fmt.Sprintf("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text))
		}
	}
}

func (b *tab) check(e *edge) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.asked) == 0 {
		b.t.Error("no request was seen: the check of the requests checks nothing")
	}
	for _, address := range b.asked {
		if !strings.HasPrefix(address, e.URL+"/") && !strings.HasPrefix(address, "data:") {
			b.t.Errorf("a request left the edge: %s", address)
		}
	}
	for _, said := range b.errors {
		b.t.Errorf("the browser reports: %s", said)
	}
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	b.do(command.Method, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, command, params)
		return chromedp.Void{}, err
	})
}

func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// open shows the page on a screen of a size, in a colour scheme.
func (b *tab) open(e *edge, width, height int64, scheme string) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	b.do("opening the page", chromedp.Navigate(e.URL+"/"))
}

// until waits until a JavaScript expression holds.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		cancel()
		if err == nil && yes {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
			b.t.Fatalf("never: %s: %s (%v); the page shows:\n%s", what, expression, err, text)
		}
	}
}

// reads waits until a figure of a room has a value.
func (b *tab) reads(label, value string) {
	b.t.Helper()
	b.until("the page says "+label, fmt.Sprintf(`[...document.querySelectorAll(".figures div")].some(d => d.checkVisibility() && d.querySelector("dt").textContent === %q && d.querySelector("dd").textContent === %q)`, label, value))
}

func TestTheNumbersAreLiveAndTheirAgeIsTold(t *testing.T) {
	e := newEdge(t, room(nil))
	b := openTab(t, e)
	b.open(e, 1280, 900, "light")
	for label, value := range map[string]string{
		"Waiting": "48,211", "Admission rate": "500/min", "Admitted, last minute": "498", "Admitted in all": "7,310",
		"Inside now, of 2,000": "1,893", "Held": "1,830", "Booked": "10,050", "No-shows": "41", "Streams, this edge": "47,002",
	} {
		b.reads(label, value)
	}
	b.until("the state is shown", `document.querySelector(".state").textContent === "open"`)
	b.until("it says that it is live", `document.getElementById("age").textContent === "Live"`)
	b.until("the title tells it too", `document.title === "48,211 waiting"`)

	b.until("the card is remembered", `(window.card = document.querySelector(".card"))`)
	e.say(room(map[string]any{"waiting": 5, "state": "paused", "message": "<b>Back soon</b>", "ratePerSeconds": 1, "rate": 20}))
	b.reads("Waiting", "5")
	b.reads("Admission rate", "20/s")
	b.until("it is paused", `document.querySelector(".state").textContent === "paused"`)
	b.until("the message is text", `document.querySelector(".message").textContent === "Fans read: <b>Back soon</b>" && !document.querySelector(".message b")`)
	b.until("the card is the same element", `document.querySelector(".card") === window.card`)

	e.say()
	b.until("it says that there are none", `document.getElementById("rooms").textContent.includes("no waiting rooms")`)
	e.say(room(map[string]any{"stock": nil}), room(map[string]any{"room": "club", "inventory": false, "stock": nil, "degraded": true, "settingsDiffer": true}))
	b.until("both rooms are shown", `document.querySelectorAll(".card").length === 2`)
	b.until("what is wrong is told", `(([a, b]) => a.textContent.includes("seat service") && b.textContent.includes("Redis is away") && b.textContent.includes("settings"))([...document.querySelectorAll(".trouble")])`)
	b.until("without stock no bar is shown", `[...document.querySelectorAll(".stock")].every(s => s.hidden)`)

	e.mu.Lock()
	e.rooms = nil
	e.mu.Unlock()
	b.until("old numbers are called old", `/^These numbers are \d+ s old: the edge answers 503\.$/.test(document.getElementById("age").textContent)`)
	b.until("and look it", `document.getElementById("rooms").classList.contains("late")`)
	e.say(room(nil))
	b.until("and it goes on by itself", `document.getElementById("age").textContent === "Live"`)
}

func TestThePageFitsEveryScreenInBothSchemes(t *testing.T) {
	long := room(map[string]any{"room": strings.Repeat("a-very-long-room-", 4) + "x", "waiting": 4_872_004, "admittedTotal": 1_234_567, "active": 123_456, "activeCap": 200_000,
		"message": strings.Repeat("wideword", 40), "degraded": true})
	e := newEdge(t, long, room(map[string]any{"room": "club", "state": "sold-out"}))
	b := openTab(t, e)
	for _, size := range [][2]int64{{320, 568}, {390, 844}, {768, 1024}, {1280, 900}} {
		for _, scheme := range []string{"light", "dark"} {
			b.open(e, size[0], size[1], scheme)
			b.reads("Waiting", "4,872,004")
			b.until(fmt.Sprintf("nothing is wider than %d px", size[0]), `document.documentElement.scrollWidth <= innerWidth`)
			b.until("no figure is cut off or covers another", `[...document.querySelectorAll(".figures dd")].every(d => d.hidden || d.scrollWidth <= d.clientWidth + 1)`)
			b.until("text can be told from its ground", contrast)
		}
	}
}

// contrast is an expression: every text of the page has at least 4.5:1 (WCAG 1.4.3).
const contrast = `(() => {
	const rgb = c => c.match(/[\d.]+/g).map(Number);
	const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const ground = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if ((rgb(c)[3] ?? 1) > 0) return c; } return "rgb(255,255,255)"; };
	return [...document.querySelectorAll("h1,h2,p,dt,dd,figcaption")].filter(e => e.checkVisibility() && e.textContent).every(e => {
		const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
		return (a + .05) / (b + .05) >= 4.5;
	});
})()`
