package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/rehearse"
)

// said is read while it is written.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func newDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{demoOptions: &demoOptions{data: filepath.Join(t.TempDir(), "demo"), dataChosen: true, listen: "127.0.0.1:0", database: "given", redis: "given", rate: "500/m", active: 20}, said: &said{}}
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestTwoDemosNeverShareAFolder(t *testing.T) {
	t.Parallel()
	first := newDemo(t)
	if err := first.openData(); err != nil {
		t.Fatal(err)
	}
	second := newDemo(t)
	second.data = first.data
	if err := second.openData(); err == nil || !strings.Contains(err.Error(), "another demo (process ") || !strings.Contains(err.Error(), "--data") {
		t.Errorf("the second demo was let in: %v", err)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	first.undo = nil
	if err := second.openData(); err != nil {
		t.Errorf("the folder is still locked when its demo has ended: %v", err)
	}
}

func TestAFolderThatNoCaddyfileTakesIsRefused(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	d.data = filepath.Join(t.TempDir(), `{demo}`)
	if err := d.openData(); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("the folder was taken: %v", err)
	}
}

// TestDataThatPostgresCannotReachGoesWhereItCan needs root, as the case itself does;
// other users run PostgreSQL as themselves and reach what they reach.
func TestDataThatPostgresCannotReachGoesWhereItCan(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil { //nolint:gosec // closed to others is what is tested
		t.Fatal(err)
	}
	d := newDemo(t)
	d.database, d.redis, d.data, d.dataChosen = "", "", filepath.Join(closed, ".demo"), false
	if err := d.openData(); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		if d.data != filepath.Join(closed, ".demo") {
			t.Errorf("the data went to %s without need", d.data)
		}
		return
	}
	t.Cleanup(func() { _ = os.RemoveAll(d.data) })
	if !strings.HasPrefix(d.data, elsewhere) || !devstack.Reachable(filepath.Join(d.data, "postgres")) {
		t.Errorf("the data went to %s", d.data)
	}
	again := newDemo(t)
	again.database, again.redis, again.data, again.dataChosen = "", "", filepath.Join(closed, ".demo"), false
	if folder, err := again.reachable(again.data); err != nil || folder != d.data {
		t.Errorf("the next start looks in %s (%v), the first one in %s", folder, err, d.data)
	}
	chosen := newDemo(t)
	chosen.database, chosen.redis, chosen.data = "", "", filepath.Join(closed, "mine")
	if err := chosen.openData(); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("a folder that was chosen is left for another without a word: %v", err)
	}
}

func TestTheDemosCaddyfileLoadsAndHoldsNoPassword(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	d.data = filepath.Join(t.TempDir(), "with a space")
	d.redis = "redis://:hunter2@127.0.0.1:1/0"
	if err := d.openData(); err != nil {
		t.Fatal(err)
	}
	at, err := d.choose()
	if err != nil {
		t.Fatal(err)
	}
	d.places.Allocator = "http://" + at.seats
	if err := d.writeCaddyfile(at); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(d.places.Caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("the Caddyfile holds the password:\n%s", text)
	}
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": d.places.Caddyfile})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v %v\n%s", warnings, err, text)
	}
	t.Log(string(adapted))
	var config struct {
		Admin   struct{ Listen string }
		Storage struct{ Root string }
		Apps    struct {
			Tickets struct{ Redis string }
			HTTP    struct {
				Servers map[string]struct{ Listen []string }
			}
		}
	}
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	if config.Admin.Listen != at.admin || config.Storage.Root != filepath.Join(d.data, "edge") || config.Apps.Tickets.Redis != "{env.TICKETS_REDIS}" {
		t.Errorf("the config says %+v", config)
	}
	for name, server := range config.Apps.HTTP.Servers {
		for _, address := range server.Listen {
			if host, _, _ := net.SplitHostPort(address); host != "127.0.0.1" {
				t.Errorf("%s listens on %s, beyond this machine", name, address)
			}
		}
	}
	if _, err := caddy.ParseNetworkAddress(config.Admin.Listen); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(d.places.Caddyfile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the Caddyfile: %v (%v)", info.Mode(), err)
	}
}

func TestNoTwoProgramsOfADemoGetOneAddress(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	at, err := d.choose()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, address := range []string{at.fans, at.operator, at.seats, at.admin, at.site} {
		if seen[address] || strings.HasSuffix(address, ":0") {
			t.Errorf("addresses: %+v", at)
		}
		seen[address] = true
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	d.listen = taken.Addr().String()
	if _, err := d.choose(); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("an address that is taken: %v", err)
	}
	for _, address := range []string{"8080", "127.0.0.1:http:x", "192.0.2.1:8080"} {
		d.listen = address
		if _, err := d.choose(); err == nil || !strings.Contains(err.Error(), "--listen") {
			t.Errorf("%s: %v", address, err)
		}
	}
	for address, want := range map[string]string{"[::]:8080": "127.0.0.1:8080", "0.0.0.0:80": "127.0.0.1:80", "127.0.0.2:80": "127.0.0.2:80"} {
		if got := reachedAt(address); got != want {
			t.Errorf("%s is reached at %s, want %s", address, got, want)
		}
	}
}

func TestAProgramThatDiesIsStartedAgainUntilTheEnd(t *testing.T) {
	t.Parallel()
	d := newDemo(t)
	if err := d.openData(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := filepath.Join(d.data, "started")
	// The first two die at once; the third stays and ends when it is asked to.
	script := `trap 'echo bye >>"$1"; exit 0' TERM; echo x >>"$1"; [ "$(wc -l <"$1")" -ge 3 ] || exit 7; while :; do sleep 0.05; done`
	if _, err := d.keep(ctx, "program", devstack.Command{Program: "/bin/sh", Args: []string{"-c", script, "sh", started}}); err != nil {
		t.Fatal(err)
	}
	lines := func() string { text, _ := os.ReadFile(started); return string(text) }
	deadline := time.After(20 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); lines() != "x\nx\nx\n"; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it was started %q times", lines())
		}
	}
	cancel()
	d.running.Wait()
	if got := lines(); got != "x\nx\nx\nbye\n" {
		t.Errorf("at the end it did %q", got)
	}
	if text := d.said.(*said).String(); strings.Count(text, "died (exit status 7)") != 2 {
		t.Errorf("the operator is told %q", text)
	}
}

func TestTheDemosSiteEndsAVisit(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(newDemoSite(demoName))
	defer site.Close()
	reply, err := http.Get(site.URL + "/done")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	page, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	if reply.Header.Get("Waitroom-Release") != "1" || reply.Header.Get("Cache-Control") != "no-store" ||
		!strings.Contains(string(page), "<h1>") || strings.Contains(string(page), "{{") {
		t.Errorf("done answers %v\n%s", reply.Header, page)
	}
	picker, err := http.Get(site.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = picker.Body.Close()
	if picker.StatusCode != http.StatusOK || picker.Header.Get("Waitroom-Release") != "" {
		t.Errorf("the shop answers %d, and ends the visit: %q", picker.StatusCode, picker.Header.Get("Waitroom-Release"))
	}
}

func TestWhatFansAndDatabaseDisagreeAboutIsABrokenPromise(t *testing.T) {
	t.Parallel()
	audit := func(sold, bookings, twice int) *pgstore.Audit {
		return &pgstore.Audit{Sold: sold, Bookings: bookings, Checks: []pgstore.Check{{ID: "I1", Promise: "no cell is sold twice", Broken: twice}}}
	}
	report := &rehearse.Report{Booked: 3, Tickets: 5}
	if got := differences(audit(10, 4, 0), audit(15, 7, 0), report); len(got) != 0 {
		t.Errorf("all is well, and it says %q", got)
	}
	for want, after := range map[string]*pgstore.Audit{
		"sold 6 tickets and the fans know of 5":  audit(16, 7, 0),
		"sold 4 tickets and the fans know of 5":  audit(14, 7, 0),
		"has 4 bookings and the fans know of 3":  audit(15, 8, 0),
		"no cell is sold twice: broken 2 times ": audit(15, 7, 2),
	} {
		if got := differences(audit(10, 4, 0), after, report); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}
