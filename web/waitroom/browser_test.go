package waitroompage

import (
	"os"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }

// openTab opens a fan's browser, which may speak to the stage only.
func openTab(t *testing.T, s *stage) *browsertest.Tab {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("calls: %q", s.called(""))
		}
	})
	return browsertest.NewTab(t, s.URL, s.stream)
}
