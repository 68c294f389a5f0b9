package e2e

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
)

// edit changes the demo's Caddyfile and reloads the edge with it.
func (s *stack) edit(t *testing.T, old, new string) {
	t.Helper()
	text, err := os.ReadFile(s.Caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("the Caddyfile has no %q:\n%s", old, text)
	}
	changed := strings.Replace(string(text), old, new, 1)
	if err := os.WriteFile(s.Caddyfile, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := s.reload(); err != nil {
		t.Fatalf("reloading: %v\n%s", err, out)
	}
}

func (s *stack) reload() (string, error) {
	out, err := exec.Command(binary, "reload", "--config", s.Caddyfile, "--adapter", "caddyfile").CombinedOutput()
	return string(out), err
}

func TestAReloadedRateActsWithinASecondAndDropsNobody(t *testing.T) {
	const fans = 150
	s := startStack(t, "--seats", "500", "--rate", "1/m", "--active", "1000")
	w := waitAll(t, s, fans)
	before := w.admitted.Load()
	if before > 2 {
		t.Fatalf("%d fans were admitted at one a minute", before)
	}
	s.edit(t, "admit 1/m", "admit 60000/m")
	reloaded := time.Now()
	eventually.Within(t, 5*time.Second, "the new rate admits fans", func() bool { return w.admitted.Load() > before })
	if took := time.Since(reloaded); took > time.Second {
		t.Errorf("the new rate took %s to act, want at most a second", took)
	}
	eventually.Within(t, 30*time.Second, "every waiting fan is admitted", func() bool { return w.admitted.Load()+w.dropped.Load() == fans })
	if n := w.dropped.Load(); n > 0 {
		t.Errorf("%d of %d waiting fans were dropped", n, fans)
	}
}

func TestABadCaddyfileIsRefusedWithFileAndLine(t *testing.T) {
	s := startStack(t, "--seats", "500", "--rate", "1/m")
	text, err := os.ReadFile(s.Caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(text), "admit 1/m", "admit often", 1)
	line := 1 + strings.Count(broken[:strings.Index(broken, "admit often")], "\n")
	if err := os.WriteFile(s.Caddyfile, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := s.reload()
	if err == nil {
		t.Fatal("a broken Caddyfile was taken")
	}
	if want := "Caddyfile:" + strconv.Itoa(line); !strings.Contains(out, want) {
		t.Errorf("the error does not say %q:\n%s", want, out)
	}
	if got := status(t.Context(), s.FanPage); got != 200 {
		t.Errorf("after a refused reload the fan page answers %d", got)
	}
}
