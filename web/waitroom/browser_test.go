package waitroompage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
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
		profile, err := os.MkdirTemp("", "waitroom-browser-")
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
		if !strings.HasPrefix(address, b.stage.URL+"/") && !strings.HasPrefix(address, "data:") &&
			(b.stage.stream == "" || !strings.HasPrefix(address, b.stage.stream+"/")) {
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

// hasty makes the page's pauses thirty times shorter.
func (b *tab) hasty() *tab {
	b.t.Helper()
	return b.before(`(real => { window.setTimeout = (f, ms) => real(f, ms / 30); })(setTimeout)`)
}

// still makes the tab run no scripts.
func (b *tab) still() *tab {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
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

// state waits until the page shows a state.
func (b *tab) state(state string) {
	b.t.Helper()
	b.until("the page shows "+state, `document.body.dataset.state === "`+state+`"`)
}

// reads waits until an element that can be seen has a text.
func (b *tab) reads(id, text string) {
	b.t.Helper()
	b.until("the page reads", fmt.Sprintf(`%s && document.getElementById(%q).textContent === %q`, seen(id), id, text))
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
