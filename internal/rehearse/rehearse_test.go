package rehearse

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

func TestOnlyThisMachineIsATargetUnlessAllowed(t *testing.T) {
	for site, want := range map[string]bool{
		"http://127.0.0.1:8080": true, "http://localhost:1": true, "https://[::1]:9": true,
		"http://192.0.2.1": false, "https://tickets.example.com": false, "ftp://127.0.0.1": false, "": false,
	} {
		cfg := Config{Site: site, Room: "arena", Event: "arena", Fans: 1}
		if _, err := cfg.check(); (err == nil) != want {
			t.Errorf("site %q: %v", site, err)
		}
	}
}

func TestTwoFansWithOneSeatAreAViolation(t *testing.T) {
	tally := newTally()
	tally.end(outcome{cells: []string{"A-1", "A-2"}})
	tally.end(outcome{cells: []string{"A-2"}})
	if r := tally.report(2, time.Second); len(r.Violations) != 1 {
		t.Fatalf("violations: %v", r.Violations)
	}
}

func TestFansWhoGetNoAnswerAreAViolation(t *testing.T) {
	tally := newTally()
	tally.end(outcome{code: soldOut}) // an answer, if not a kind one
	if r := tally.report(1, time.Second); len(r.Violations) != 0 {
		t.Errorf("told that it is sold out: %v", r.Violations)
	}
	tally.end(outcome{code: deadline})
	if r := tally.report(4, time.Second); len(r.Violations) != 1 || r.Violations[0] != "3 of 4 fans got no answer" {
		t.Errorf("two never came and one waited to the end: %v", r.Violations)
	}
}

func TestAPositionThatGoesUpIsAViolation(t *testing.T) {
	f := &fan{sale: &sale{tally: newTally()}}
	for _, position := range []int{9, 7, 7, 8} {
		f.stand(standing{State: "waiting", Position: position})
	}
	if got := len(f.sale.tally.violations); got != 1 {
		t.Fatalf("%d violations", got)
	}
}

func TestSeatsAreChosenSideBySideAndOnlyFreeOnes(t *testing.T) {
	p := &plan{rows: []row{{0, []string{"a", "b", "c", "d", "e", "f"}}}}
	state := mapOf(t, 6)
	if err := state.Apply(mapframe.Delta{From: 0, To: 1, Changes: []mapframe.Change{{Ordinal: 2, State: mapframe.Booked}}}); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(200) {
		got := p.choose(state, 3, rand.New(rand.NewPCG(seed, 1)))
		if len(got) == 3 && (got[0] != "d" || got[1] != "e" || got[2] != "f") || len(got) == 0 {
			t.Fatalf("seed %d chose %v", seed, got)
		}
	}
}

func TestNothingIsChosenWhenNothingIsFree(t *testing.T) {
	p := &plan{rows: []row{{0, []string{"a", "b"}}}}
	state := mapOf(t, 2)
	if err := state.Apply(mapframe.Delta{From: 0, To: 1, Changes: []mapframe.Change{{Ordinal: 0, State: mapframe.Held}, {Ordinal: 1, State: mapframe.Booked}}}); err != nil {
		t.Fatal(err)
	}
	if got := p.choose(state, 1, rand.New(rand.NewPCG(1, 1))); got != nil {
		t.Fatalf("chose %v", got)
	}
}

func TestCallsAreRepeatedWhenAskedToComeBackAndThenAnswered(t *testing.T) {
	tries := 0
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries < 3 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"code":"overloaded","retryAfterMs":1}`))
			return
		}
		_, _ = w.Write([]byte(`{"state":"waiting"}`))
	})
	var s standing
	if _, err := c.Do(t.Context(), Call{Method: "GET", Path: "/"}, &s); err != nil || s.State != "waiting" || tries != 3 {
		t.Fatalf("%v after %d tries: %+v", err, tries, s)
	}
}

func TestStreamsAreReadEventByEvent(t *testing.T) {
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("retry: 1500\n\n: beat\n\nevent: position\nid: 7\ndata: {\"position\":7}\n\nevent: admitted\ndata: {}\n\nevent: never\n\n"))
	})
	var names []string
	retry, err := c.Stream(context.Background(), "/", "", func(e Event) bool {
		names = append(names, e.Name+e.ID)
		return e.Name != "admitted"
	})
	if err != nil || retry != 1500*time.Millisecond || len(names) != 2 || names[0] != "position7" {
		t.Fatalf("%v %v %v", names, retry, err)
	}
}

func TestQuantilesAreNearestRank(t *testing.T) {
	sorted := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	if quantile(sorted, 0.5) != 5 || quantile(sorted, 0.99) != 10 || quantile(sorted[:1], 0.5) != 1 || quantile(nil, 0.5) != 0 {
		t.Fatal("quantiles are off")
	}
}

func clientOf(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	site, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(site, nil)
	t.Cleanup(c.Close)
	return c
}

func mapOf(t *testing.T, cells int) *mapframe.Map {
	t.Helper()
	m, err := mapframe.NewMap(mapframe.Snapshot{Cells: cells, Bits: make([]byte, mapframe.BitsLen(cells))})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
