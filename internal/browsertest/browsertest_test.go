package browsertest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func site(t *testing.T, policy, page string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = w.Write([]byte(`<!doctype html><link rel="icon" href="data:,"><body data-state="shown"><p id="text">Hello</p>` + page))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestWhatAPageMayNotDoIsAFault(t *testing.T) {
	for name, c := range map[string]struct{ policy, page, fault string }{
		"an exception":      {"", `<script>setTimeout(() => nothing.at.all)</script>`, "exception: "},
		"a lost promise":    {"", `<script>Promise.reject(new Error("lost"))</script>`, "exception: "},
		"the console":       {"", `<script>console.debug("here")</script>`, "console: debug"},
		"a broken policy":   {"script-src 'none'", `<script>1</script>`, "security error"},
		"a foreign request": {"", `<img src="http://127.0.0.1:9/x" alt="">`, "a request left the site: http://127.0.0.1:9/x"},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewTab(t, site(t, c.policy, c.page)).Open("/")
			eventually.Holds(t, c.fault, func() bool { return strings.Contains(strings.Join(b.faults(), "\n"), c.fault) })
			b.forgive()
		})
	}
}

func TestATabThatLoadedNothingIsAFault(t *testing.T) {
	b := NewTab(t, "http://127.0.0.1:9")
	if len(b.faults()) != 1 {
		t.Errorf("faults: %q", b.faults())
	}
	b.forgive()
}

// forgive lets this test pass with what its page did.
func (b *Tab) forgive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests, b.errors = []string{"data:,"}, nil
}

func TestTabsOfAFanShareAProfileAndOtherFansHaveTheirOwn(t *testing.T) {
	url := site(t, "", "")
	first, stranger := NewTab(t, url).Open("/"), NewTab(t, url).Open("/")
	own := NewBrowser(t, "another", url).Open("/")
	first.Value(`localStorage.fan = "Ada"`)
	second := first.Another().Open("/")
	second.Until("the profile is shared", `localStorage.fan === "Ada"`)
	second.State("shown")
	second.Reads("text", "Hello")
	for _, b := range []*Tab{stranger, own} {
		if b.Holds(`localStorage.fan`) {
			t.Error("two fans share a profile")
		}
	}
}
