package shop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// TestMain ends the one browser that all tests share: each has a profile of its
// own in it.
func TestMain(m *testing.M) {
	code := m.Run()
	browser.stop()
	os.Exit(code)
}

var browser shared

type shared struct {
	once sync.Once
	ctx  context.Context
	end  []func()
	err  error
}

func (b *shared) start() (context.Context, error) {
	b.once.Do(func() {
		var program string
		for _, candidate := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if path, err := exec.LookPath(candidate); err == nil {
				program = path
				break
			}
		}
		if program == "" {
			b.err = fmt.Errorf("no browser; install one with: sudo apt-get install -y --no-install-recommends chromium")
			return
		}
		profile, err := os.MkdirTemp("", "shop-browser-")
		if err != nil {
			b.err = err
			return
		}
		allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(),
			chromedp.ExecPath(program), chromedp.UserDataDir(profile), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
			chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
			chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
			chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
			chromedp.Flag("disable-backgrounding-occluded-windows", true))
		ctx, stop := chromedp.NewContext(allocator)
		b.end = []func(){stop, stopAllocator, func() { _ = os.RemoveAll(profile) }}
		b.ctx, b.err = ctx, chromedp.Do(ctx)
	})
	return b.ctx, b.err
}

func (b *shared) stop() {
	for _, end := range b.end {
		end()
	}
}

// tab is one fan's page. When the test ends it must have spoken to the stage
// only, broken no policy and thrown nothing.
type tab struct {
	t     *testing.T
	ctx   context.Context
	stage *stage

	mu       sync.Mutex
	requests []string
	errors   []string
}

func openTab(t *testing.T, s *stage) *tab {
	t.Helper()
	parent, err := browser.start()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	return newTab(t, s, ctx, stop)
}

// another opens a second tab of the same fan.
func (b *tab) another() *tab {
	b.t.Helper()
	ctx, stop := chromedp.NewContext(b.ctx)
	return newTab(b.t, b.stage, ctx, stop)
}

func newTab(t *testing.T, s *stage, ctx context.Context, stop func()) *tab {
	b := &tab{t: t, ctx: ctx, stage: s}
	t.Cleanup(func() {
		if t.Failed() {
			b.describe()
		}
		stop()
		b.check()
	})
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, log.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	return b
}

// hear notes what the browser reports.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, fmt.Sprintf("exception: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		b.errors = append(b.errors, "console: "+string(e.Type))
	case *log.EventEntryAdded:
		// A refusal that the page expects is noted by the browser all the same.
		if e.Entry.Source != log.EntrySourceNetwork {
			b.errors = append(b.errors, fmt.Sprintf("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text))
		}
	}
}

func (b *tab) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == 0 {
		b.t.Error("no request was seen: the check of the requests checks nothing")
	}
	for _, address := range b.requests {
		if !strings.HasPrefix(address, b.stage.URL+"/") && !strings.HasPrefix(address, "data:") {
			b.t.Errorf("a request left the site: %s", address)
		}
	}
	for _, e := range b.errors {
		b.t.Errorf("the browser reports: %s", e)
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

func (b *tab) open(path string) *tab {
	b.t.Helper()
	b.do("opening the page", chromedp.Navigate(b.stage.URL+path))
	return b
}

// before runs a script before any of the page's.
func (b *tab) before(script string) *tab {
	b.t.Helper()
	b.do("preparing the page", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return chromedp.Void{}, err
	})
	return b
}

// until waits until a JavaScript expression holds.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	eventually(b.t, what+": "+expression, func() bool { return b.holds(expression) })
}

func (b *tab) holds(expression string) bool {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
	return err == nil && yes
}

// picker opens the seat picker and waits until it can be used.
func (b *tab) picker() *tab {
	b.t.Helper()
	b.open("/")
	b.until("the map is drawn", `document.body.dataset.page === "picker" && window.seatmap?.ready`)
	return b
}

// freeSeat is the n-th free seat of the map.
func (b *tab) freeSeat(n int) string {
	b.t.Helper()
	return b.value(fmt.Sprintf(`seatmap.free(%d)[%d]`, n+1, n))
}

// choose selects n free seats.
func (b *tab) choose(n int) (seats []string) {
	b.t.Helper()
	for range n {
		seat := b.freeSeat(0)
		b.until("it is chosen", `seatmap.select("`+seat+`")`)
		seats = append(seats, seat)
	}
	return seats
}

// checkout goes the way to the checkout, with two seats.
func (b *tab) checkout() []string {
	b.t.Helper()
	seats := b.picker().choose(2)
	b.do("holding", chromedp.Click("#hold"))
	b.until("the checkout is there", `document.body.dataset.page === "checkout" && `+seen("form"))
	return seats
}

// buyer fills in the form.
func (b *tab) buyer(method string) {
	b.t.Helper()
	b.do("filling in", chromedp.SendKeys("#name", "Ada Lovelace"), chromedp.SendKeys("#email", "ada@example.org"), chromedp.Click("input[value="+method+"]"))
}

// reads waits until what an element shows has a text in it.
func (b *tab) reads(id, text string) {
	b.t.Helper()
	b.until("the page reads", fmt.Sprintf(`%s && document.getElementById(%q).textContent.includes(%q)`, seen(id), id, text))
}

// is waits until the map shows a seat so.
func (b *tab) is(seat, state string) {
	b.t.Helper()
	b.until("the seat is "+state, fmt.Sprintf(`seatmap.state(%q) === %q`, seat, state))
}

// seen is an expression: an element is on the page and can be seen.
func seen(id string) string {
	return fmt.Sprintf(`document.getElementById(%q)?.checkVisibility({ visibilityProperty: true })`, id)
}

func (b *tab) value(expression string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatalf("evaluating %s: %v", expression, err)
	}
	return text
}

func (b *tab) describe() {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + ' ' + document.body.dataset.state + '\\n' + document.body.innerText"))
	b.t.Logf("the page (%v):\n%s\ncalls: %q", err, text, b.stage.called(""))
}
