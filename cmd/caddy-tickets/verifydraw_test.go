package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// drawnRoom is a site that has drawn its lobby.
type drawnRoom struct {
	before, record draw.Record
	cohort         *draw.Cohort
	text, file     []byte
}

func newDrawnRoom(t *testing.T, n int) *drawnRoom {
	t.Helper()
	opens := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	secret := bytes.Repeat([]byte{3}, draw.SecretLength)
	entrants := make([]draw.Entrant, n)
	for i := range entrants {
		entrants[i] = draw.Entrant{Visitor: place.Visitor{byte(i), byte(i >> 8), 1}, Tier: place.Tier(i % 2)}
	}
	d := &drawnRoom{cohort: draw.NewCohort(entrants)}
	var err error
	if d.before, err = draw.Commit("arena", opens.Add(-time.Hour), opens, secret, draw.DrandAfter(opens)); err != nil {
		t.Fatal(err)
	}
	frozen := d.before.Freeze(d.cohort)
	frozen.FrozenAt = opens.Add(time.Second)
	if d.record, err = frozen.Finish(secret, []byte("what the world agreed on")); err != nil {
		t.Fatal(err)
	}
	d.record.DrawnAt = opens.Add(40 * time.Second)
	d.publish(t)
	return d
}

func (d *drawnRoom) publish(t *testing.T) {
	t.Helper()
	var err error
	if d.text, err = json.Marshal(d.record); err != nil {
		t.Fatal(err)
	}
	if d.file, err = d.cohort.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
}

func (d *drawnRoom) serve(t *testing.T) (site string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.waitroom/arena/draw":
			_, _ = w.Write(d.text)
		case "/.waitroom/arena/draw/cohort":
			_, _ = w.Write(d.file)
		case "/.waitroom/club/draw":
			_, _ = w.Write(d.text) // that of another room
		case "/.waitroom/endless/draw":
			for range 100 {
				_, _ = w.Write(make([]byte, 1<<10))
			}
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"code":"no-draw","detail":"This room has no draw.\u001b[2J"}`))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func kept(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnybodyVerifiesADraw(t *testing.T) {
	d := newDrawnRoom(t, 300)
	site := d.serve(t)
	before, err := json.Marshal(d.before)
	if err != nil {
		t.Fatal(err)
	}
	fan := d.cohort.Entrants()[42]
	out := must(t, "verify-draw", site, "--room", "arena", "--before", kept(t, "kept.json", before),
		"--visitor", fan.Visitor.String(), "--score", fmt.Sprint(d.record.Score(fan)))
	round, _ := d.record.Beacon.Drand()
	for _, want := range []string{
		`The draw of room "arena"`, "300 entrants", "drand quicknet round",
		"holds    Nothing that the earlier record says was changed.", "holds    The secret is the one that was committed to.",
		"holds    Its Merkle root is the one that was frozen", "holds    The seed follows", "holds    The record is whole.",
		"holds    Visitor " + fan.Visitor.String() + " took part, in tier " + fmt.Sprint(fan.Tier), "holds    Their score is the one that was drawn",
		" of 300, with score ", round.URL(), "Everything holds",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "WRONG") {
		t.Error(out)
	}

	copies := must(t, "verify-draw", "--record", kept(t, "draw.json", d.text), "--cohort", kept(t, "cohort.bin", d.file))
	if !strings.Contains(copies, "Everything holds") || !strings.Contains(copies, "No earlier copy") {
		t.Error(copies)
	}
	var wire struct {
		Room   string
		Holds  bool
		Checks []struct{ What, Wrong string }
	}
	if err := json.Unmarshal([]byte(must(t, "verify-draw", site, "--json")), &wire); err != nil || wire.Room != "arena" || !wire.Holds || len(wire.Checks) < 6 {
		t.Errorf("%+v, %v", wire, err)
	}
}

func TestTheRankOfAFanIsThatOfTheirScore(t *testing.T) {
	d := newDrawnRoom(t, 60)
	site, seen := d.serve(t), map[int]bool{}
	for _, e := range d.cohort.Entrants() {
		var wire struct {
			Entrant struct {
				Rank  int
				Score place.Score
			}
		}
		if err := json.Unmarshal([]byte(must(t, "verify-draw", site, "--json", "--visitor", e.Visitor.String())), &wire); err != nil {
			t.Fatal(err)
		}
		if seen[wire.Entrant.Rank] || wire.Entrant.Rank < 1 || wire.Entrant.Rank > 60 || wire.Entrant.Score != d.record.Score(e) {
			t.Errorf("%+v", wire.Entrant)
		}
		if first := wire.Entrant.Rank <= 30; first != (e.Tier == 0) {
			t.Errorf("tier %d has rank %d", e.Tier, wire.Entrant.Rank)
		}
		seen[wire.Entrant.Rank] = true
	}
}

func TestADrawThatWasChangedIsToldOn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*drawnRoom)
		args   func(*drawnRoom) []string
		says   []string
	}{
		"a byte of the cohort": {change: func(d *drawnRoom) { d.file[17*100+15] ^= 1 }, says: []string{"WRONG    the cohort was changed: its Merkle root is"}},
		"the order of the cohort": {change: func(d *drawnRoom) { d.file[0] ^= 0xff }, says: []string{
			"WRONG    the cohort file was changed: its entrant 2", "holds    The secret is the one that was committed to."}},
		"a byte of the secret": {change: func(d *drawnRoom) {
			d.text = bytes.Replace(d.text, []byte(`"secret":"03`), []byte(`"secret":"13`), 1)
		}, says: []string{"WRONG    the secret was changed", "WRONG    the seed does not follow"}},
		"a byte of the beacon": {change: func(d *drawnRoom) {
			d.text = bytes.Replace(d.text, []byte(`"value":"77`), []byte(`"value":"78`), 1)
		}, says: []string{"WRONG    the seed does not follow from room, secret, beacon and root"}},
		"the rules": {change: func(d *drawnRoom) { d.before.LobbyOpens = d.before.LobbyOpens.Add(time.Hour) }, args: func(d *drawnRoom) []string {
			before, err := json.Marshal(d.before)
			if err != nil {
				t.Fatal(err)
			}
			return []string{"--before", kept(t, "kept.json", before)}
		}, says: []string{"WRONG    the opening of the lobby was changed after it was published"}},
		"a fan's score": {args: func(d *drawnRoom) []string {
			return []string{"--visitor", d.cohort.Entrants()[7].Visitor.String(), "--score", "5"}
		}, says: []string{"WRONG    the score of visitor", "it is 5, and"}},
		"a fan left out": {args: func(*drawnRoom) []string {
			return []string{"--visitor", place.Visitor{255}.String()}
		}, says: []string{"WRONG    visitor", "is not in the cohort"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDrawnRoom(t, 300)
			if c.change != nil {
				c.change(d)
			}
			args := []string{"verify-draw", d.serve(t)}
			if c.args != nil {
				args = append(args, c.args(d)...)
			}
			out, err := invoke(t, args...)
			if err == nil {
				t.Errorf("it exits with status 0:\n%s", out)
			}
			for _, says := range c.says {
				if !strings.Contains(out, says) {
					t.Errorf("it does not say %q:\n%s", says, out)
				}
			}
			if strings.Contains(out, "Everything holds") {
				t.Error("it says that everything holds")
			}
		})
	}
}

func TestADrawThatCannotBeVerifiedSaysWhy(t *testing.T) {
	d := newDrawnRoom(t, 20)
	site := d.serve(t)
	early, err := json.Marshal(d.before)
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := json.Marshal(d.before.Freeze(d.cohort))
	if err != nil {
		t.Fatal(err)
	}
	cohort := kept(t, "cohort.bin", d.file)
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "name the site"},
		{[]string{"--record", "x"}, "both --record and --cohort"},
		{[]string{"tickets.example.com"}, "is no site"},
		{[]string{site, "--score", "5"}, "--score needs --visitor"},
		{[]string{site, "--visitor", "somebody"}, "22 letters"},
		{[]string{site, "--room", "hall"}, "404 Not Found: This room has no draw.[2J"},
		{[]string{site, "--room", "club"}, `answers for room "club" with the draw of room "arena"`},
		{[]string{site, "--room", "endless"}, "longer than the 65536 bytes"},
		{[]string{site, "--before", kept(t, "kept.json", []byte("{}"))}, "the record from before"},
		{[]string{"--record", kept(t, "early.json", early), "--cohort", cohort}, "the lobby ends at 2026-12-01 10:00:00 UTC. Keep a copy"},
		{[]string{"--record", kept(t, "frozen.json", frozen), "--cohort", cohort}, "it waits for its beacon"},
		{[]string{"--record", kept(t, "cut.json", d.text[:200]), "--cohort", cohort}, "not a record of a draw"},
		{[]string{"http://127.0.0.1:1"}, "refused"},
	} {
		if out, err := invoke(t, append([]string{"verify-draw"}, c.args...)...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: the error does not say %q: %v\n%s", c.args, c.says, err, out)
		}
	}
}

func TestASiteCannotWriteToTheTerminalMoreThanText(t *testing.T) {
	d := newDrawnRoom(t, 5)
	d.record.Beacon.Source = "here\x1b[2J\u009b2J"
	d.publish(t)
	out, err := invoke(t, "verify-draw", d.serve(t))
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out, "\x1b\u009b") || !strings.Contains(out, "here[2J") {
		t.Errorf("%q", out)
	}
}

// A file of 80 MB may take its time, but not a site that says nothing.
func TestASlowSiteIsWaitedForAndASilentOneIsNot(t *testing.T) {
	const patience = 300 * time.Millisecond
	parts := make(chan string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			select {
			case part, more := <-parts:
				if !more {
					return
				}
				_, _ = w.Write([]byte(part))
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	go func() {
		every := time.NewTicker(patience / 6)
		defer every.Stop()
		for range 12 { // twice the patience in all
			<-every.C
			parts <- "x"
		}
		close(parts)
	}()
	if all, err := fetch(t.Context(), server.URL, 100, patience, io.Discard); err != nil || len(all) != 12 {
		t.Fatalf("%q, %v", all, err)
	}
	parts = make(chan string)
	if _, err := fetch(t.Context(), server.URL, 100, patience, io.Discard); err == nil || !strings.Contains(err.Error(), "said nothing for 300ms") {
		t.Errorf("a silent site: %v", err)
	}
}
