package browsertest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
)

// patience bounds a step in a browser on a busy machine. Whoever has a browser of
// its own has whole servers beside it.
const (
	patience    = 30 * time.Second
	ownPatience = 60 * time.Second
)

// Tab is one page of a fan or an operator. When the test ends it must have spoken to
// its origins only, broken no policy, thrown nothing and written nothing to the
// console; when the test failed, the log has what the page showed.
type Tab struct {
	T   testing.TB
	Ctx context.Context // for what chromedp can and Tab cannot

	name     string
	patience time.Duration
	origins  []string // the first is the site's

	mu       sync.Mutex
	requests []string // guarded by mu, as is all that follows
	errors   []string
}

func newTab(t testing.TB, name string, ctx context.Context, stop func(), origins []string) *Tab {
	t.Helper()
	b := &Tab{T: t, Ctx: ctx, name: name, patience: patience, origins: origins}
	if name != "" {
		b.patience = ownPatience
	}
	t.Cleanup(func() {
		if t.Failed() {
			b.describe()
		}
		stop()
		for _, fault := range b.faults() {
			t.Error(b.says(fault))
		}
	})
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	Call(b, network.Enable, network.EnableParams{})
	Call(b, log.Enable, cdp.Empty{})
	Call(b, runtime.Enable, cdp.Empty{})
	return b
}

// Another opens a second tab of the same fan.
func (b *Tab) Another() *Tab {
	b.T.Helper()
	ctx, stop := chromedp.NewContext(b.Ctx)
	return newTab(b.T, b.name, ctx, stop, b.origins)
}

// hear notes what the browser reports.
func (b *Tab) hear(event any) {
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

// faults are what the page did that it may not.
func (b *Tab) faults() (faults []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == 0 {
		faults = append(faults, "no request was seen: the check of the requests checks nothing")
	}
	for _, address := range b.requests {
		if !b.allowed(address) {
			faults = append(faults, "a request left the site: "+address)
		}
	}
	for _, e := range b.errors {
		faults = append(faults, "the browser reports: "+e)
	}
	return faults
}

func (b *Tab) allowed(address string) bool {
	for _, origin := range b.origins {
		if strings.HasPrefix(address, origin+"/") {
			return true
		}
	}
	return strings.HasPrefix(address, "data:")
}

// says is what, after the name of whose browser it is.
func (b *Tab) says(what string) string {
	if b.name == "" {
		return what
	}
	return b.name + ": " + what
}

// Call sends one command of the browser's protocol.
func Call[P, R any](b *Tab, command cdp.Command[P, R], params P) {
	b.T.Helper()
	b.Do(command.Method, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, command, params)
		return chromedp.Void{}, err
	})
}

// Do runs actions, all of which must succeed.
func (b *Tab) Do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, b.patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.T.Fatalf("%s: %v", b.says(what), err)
	}
}

// Open loads a path of the site.
func (b *Tab) Open(path string) *Tab {
	b.T.Helper()
	b.Do("opening the page", chromedp.Navigate(b.origins[0]+path))
	return b
}

// Before runs a script before any of the page's.
func (b *Tab) Before(script string) *Tab {
	b.T.Helper()
	Call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	return b
}

// Hasty makes the page's pauses thirty times shorter.
func (b *Tab) Hasty() *Tab {
	b.T.Helper()
	return b.Before(`(real => { window.setTimeout = (f, ms) => real(f, ms / 30); })(setTimeout)`)
}

// Still makes the tab run no scripts.
func (b *Tab) Still() *Tab {
	b.T.Helper()
	Call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return b
}

// Screen sets the size of the screen, in CSS pixels, and the colour scheme, "light" or "dark".
func (b *Tab) Screen(width, height int64, scheme string) *Tab {
	b.T.Helper()
	Call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600})
	Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	return b
}

// Until waits until a JavaScript expression holds on whatever page is loaded.
func (b *Tab) Until(what, expression string) {
	b.T.Helper()
	eventually.Within(b.T, b.patience, b.says(what+": "+expression), func() bool { return b.Holds(expression) })
}

// Holds evaluates an expression; while a page is being replaced it is false.
func (b *Tab) Holds(expression string) bool {
	ctx, cancel := context.WithTimeout(b.Ctx, b.patience)
	defer cancel()
	yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
	return err == nil && yes
}

// Value evaluates an expression, as text.
func (b *Tab) Value(expression string) string {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, b.patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.T.Fatalf("%s: %v", b.says("evaluating "+expression), err)
	}
	return text
}

// State waits until the page shows a state.
func (b *Tab) State(state string) {
	b.T.Helper()
	b.Until("the page shows "+state, fmt.Sprintf("document.body.dataset.state === %q", state))
}

// Reads waits until an element that can be seen has a text.
func (b *Tab) Reads(id, text string) {
	b.T.Helper()
	b.Until("the page reads", fmt.Sprintf(`%s && document.getElementById(%q).textContent === %q`, Seen(id), id, text))
}

// Seen is an expression: an element is on the page and can be seen.
func Seen(id string) string {
	return fmt.Sprintf(`document.getElementById(%q)?.checkVisibility({ visibilityProperty: true })`, id)
}

// describe logs what the page shows.
func (b *Tab) describe() {
	ctx, cancel := context.WithTimeout(b.Ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + ' ' + document.body.dataset.state + '\\n' + document.body.innerText"))
	b.T.Logf("%s (%v):\n%.4000s", b.says("the page"), err, text)
}
