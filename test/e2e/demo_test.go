package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// demoFolder is a data folder that PostgreSQL's user may enter, unlike t.TempDir's.
func demoFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tickets-e2e-data-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "demo")
}

// runDemo runs a demo that ends by itself, and returns what it printed.
func runDemo(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"demo", "--listen", "127.0.0.1:0", "--exit"}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestADemoWithFansPrintsWhatHappenedAndEndsWell is `make demo FANS=20 EXIT=1`, twice:
// the second start finds the sale of the first.
func TestADemoWithFansPrintsWhatHappenedAndEndsWell(t *testing.T) {
	data := demoFolder(t)
	for range 2 {
		out, err := runDemo(t, "--data", data, "--seats", "500", "--fans", "20")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, column := range []string{"joined", "admitted", "held", "booked", "refused", "double-booked", "p50", "p99"} {
			if !strings.Contains(out, column) {
				t.Errorf("the table has no %q:\n%s", column, out)
			}
		}
		if !regexp.MustCompile(`(?m)^ *20 +20 +20 `).MatchString(out) {
			t.Errorf("not all of 20 fans joined and were admitted:\n%s", out)
		}
	}
	s := startStackIn(t, data, "--seats", "500")
	if got := ask(t, s, bookedCells); len(got) < 2 {
		t.Errorf("after two demos with 20 fans each the third start finds %s sold seats", got)
	}
}
