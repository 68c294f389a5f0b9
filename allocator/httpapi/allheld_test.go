package httpapi_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// A fan who is told that everything is held is also told when the next seat may come
// back; the map that knows is followed from the first question on.
func TestAllHeldSaysWhenToComeAgain(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(1, 0)
	held := s.do(s.holds(event, "ann", "k", seats("A0")))
	ends, err := time.Parse(time.RFC3339, held.doc["expiresAt"].(string))
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		got := s.refused(s.holds(event, "bob", "k", seats("A0")), http.StatusConflict, "all-held")
		if got.header.Get("Retry-After") == "" {
			t.Error("it does not say when to ask again")
		}
		if next, ok := got.doc["nextReleaseAt"].(string); ok {
			if at, err := time.Parse(time.RFC3339, next); err != nil || at.Sub(ends).Abs() > time.Second {
				t.Errorf("the next seat comes back at %s, the hold ends at %s", next, ends)
			}
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never says when a seat may come back: %s", got.body)
		}
	}
}

func TestAHoldIsFoundWhereItsLocationPointsTo(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(2, 0)
	for i, prefix := range []string{"", "/api"} {
		q := s.holds(event, "ann", prefix+"k", seats([]string{"A0", "A1"}[i]))
		q.path = prefix + q.path
		made := s.do(q)
		at, err := url.Parse("http://tickets.example" + q.path)
		if err != nil {
			t.Fatal(err)
		}
		if at, err = at.Parse(made.header.Get("Location")); err != nil || made.header.Get("Location") == "" {
			t.Fatalf("%d %s, location %q: %v", made.status, made.body, made.header.Get("Location"), err)
		}
		if got := s.do(ask{method: http.MethodGet, path: at.Path, pass: s.pass("ann")}); got.status != http.StatusOK || got.doc["holdId"] != made.doc["holdId"] {
			t.Errorf("at %s there is %d %s", at.Path, got.status, got.body)
		}
	}
}
