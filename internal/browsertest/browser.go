// Package browsertest drives a real Chromium for tests. NewTab gives a tab with a
// profile of its own in one browser that the tests of a package share, which is
// quick; NewBrowser gives a browser that is a process of its own, as two fans have.
// Both fail the test for what no page of ours may do: see Tab.
//
// Only tests import this package.
package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// Main runs the tests of a package that uses NewTab, and ends their browser:
//
//	func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }
func Main(m *testing.M) int {
	defer func() { shared.end() }()
	return m.Run()
}

// process is a running browser. It lives as long as ctx, whose tab is its first.
type process struct {
	ctx context.Context
	end func()
	err error
}

var (
	shared = process{end: func() {}}
	once   sync.Once
)

// NewTab opens a tab with a fresh profile in the shared browser. Its pages may speak
// to these origins only, of which the first is the site's; "" is none.
func NewTab(t testing.TB, origins ...string) *Tab {
	t.Helper()
	once.Do(func() { shared = start() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	ctx, stop := chromedp.NewContext(shared.ctx, chromedp.WithNewBrowserContext())
	return newTab(t, "", ctx, stop, origins)
}

// NewBrowser starts a browser for one test; what it reports begins with the name.
func NewBrowser(t testing.TB, name string, origins ...string) *Tab {
	t.Helper()
	p := start()
	t.Cleanup(p.end)
	if p.err != nil {
		t.Fatalf("starting the browser of %s: %v", name, p.err)
	}
	return newTab(t, name, p.ctx, p.end, origins)
}

func start() process {
	program := find()
	if program == "" {
		return process{end: func() {}, err: errors.New("no browser; install one with: sudo apt-get install -y --no-install-recommends chromium")}
	}
	profile, err := os.MkdirTemp("", "tickets-browser-")
	if err != nil {
		return process{end: func() {}, err: err}
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(program), chromedp.UserDataDir(profile), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		// Tabs beside the one in front are fans too.
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true))
	ctx, stop := chromedp.NewContext(allocator)
	end := func() {
		stop()
		stopAllocator()
		_ = os.RemoveAll(profile)
	}
	return process{ctx: ctx, end: end, err: chromedp.Do(ctx)} // without a deadline, which would be the browser's
}

func find() string {
	for _, candidate := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	return ""
}
