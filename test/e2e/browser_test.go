package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
)

// browser is one fan's own browser: a process with a profile of its own, not a
// tab beside another's.
type browser struct{ *browsertest.Tab }

// openBrowser starts a browser, which may speak to the fan page's site only.
func openBrowser(t *testing.T, s *stack, name string) browser {
	t.Helper()
	site := s.site(t)
	return browser{browsertest.NewBrowser(t, name, site.Scheme+"://"+site.Host)}
}

// list evaluates an expression whose result is an array of text, once it has any.
func (b browser) list(expression string) []string {
	b.T.Helper()
	b.Until("has some", "("+expression+").length")
	return strings.Split(b.Value("("+expression+").join('\\n')"), "\n")
}

// fill types into a field, unless the page has filled it already.
func (b browser) fill(id, text string) {
	b.T.Helper()
	b.Do("filling in "+id, chromedp.SendKeys("#"+id, text))
}
