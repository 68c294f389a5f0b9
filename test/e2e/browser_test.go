package e2e

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browserActWithin bounds one step in a browser, on a machine that is busy with
// everything else.
const browserActWithin = 60 * time.Second

// browser is one fan's own browser: a process with a profile of its own, not a
// tab beside another's.
type browser struct {
	t    *testing.T
	name string
	ctx  context.Context
}

// openBrowser starts a browser. A missing one fails the test.
func openBrowser(t *testing.T, name string) *browser {
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
	profile, err := os.MkdirTemp("", "tickets-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) })
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(program), chromedp.UserDataDir(profile), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true))
	ctx, stop := chromedp.NewContext(allocator)
	t.Cleanup(func() { stop(); stopAllocator() })
	b := &browser{t: t, name: name, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil { // starts it
		t.Fatalf("starting %s's browser: %v", name, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			b.describe()
		}
	})
	return b
}

// do runs actions, and fails the test with what the page shows if they do not end.
func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserActWithin)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%s: %s: %v", b.name, what, err)
	}
}

// until waits until a JavaScript expression is true on whatever page is loaded.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	eventually(b.t, b.name+": "+what, browserActWithin, func() bool { return b.holds(expression) })
}

// holds evaluates an expression; while a page is being replaced it is false.
func (b *browser) holds(expression string) bool {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	yes, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
	return err == nil && yes
}

// value evaluates an expression whose result is text.
func (b *browser) value(expression string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserActWithin)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatalf("%s: evaluating %s: %v", b.name, expression, err)
	}
	return strings.TrimSpace(text)
}

// describe logs what the browser shows, for a failed test.
func (b *browser) describe() {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	address, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		b.t.Logf("%s's browser does not answer: %v", b.name, err)
		return
	}
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if len(text) > 2000 {
		text = text[:2000]
	}
	b.t.Logf("%s's browser is at %s (%v) and shows:\n%s", b.name, address, err, text)
}

// strings evaluates an expression whose result is an array of text; nothing
// while a page is being replaced.
func (b *browser) strings(expression string) []string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](expression))
	if err != nil {
		return nil
	}
	return found
}

// fill types into a field, unless the page has filled it already.
func (b *browser) fill(id, text string) {
	b.t.Helper()
	b.do("filling in "+id, chromedp.SendKeys("#"+id, text))
}
