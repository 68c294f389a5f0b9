package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

// What the refusal says is true of a limit that is used up by holding and of one that is
// used up by buying: nothing can be given back then.
func TestWhatIsSaidOfTheLimitIsTrueOfHeldAndBought(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(8, 0)
	cells := []string{"A0", "A1", "A2", "A3", "A4", "A5"}
	id := s.hold(event, "ann", "k", seats(cells...))
	over := func(key string) {
		t.Helper()
		got := s.refused(s.holds(event, "ann", key, seats("A6")), http.StatusForbidden, "purchase-limit")
		if detail, _ := got.doc["detail"].(string); !strings.Contains(detail, "held and bought together") || strings.Contains(detail, "first") {
			t.Errorf("%s: the fan is told %q", key, detail)
		}
	}
	over("held")
	if got := s.do(s.pays(id, "ann", "pay", "tok_ok")); got.status != http.StatusCreated {
		t.Fatalf("%d %s", got.status, got.body)
	}
	e, err := s.store.Event(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.locks.Book(t.Context(), e, id, cells); err != nil {
		t.Fatal(err)
	}
	over("bought")
}
