package httpapi_test

import (
	"net/http"
	"testing"
)

// Whoever comes back with a hold that they have bought is told where their booking is,
// and never that the seats are everybody's again.
func TestAHoldThatWasBoughtLeadsToItsBooking(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(8, 0)
	id := s.hold(event, "ann", "k", seats("A0", "A1", "A2", "A3", "A4", "A5"))
	get := func(visitor string) ask {
		return ask{method: http.MethodGet, path: "/v1/holds/" + id, pass: s.pass(visitor)}
	}
	paid := s.do(s.pays(id, "ann", "pay", "tok_ok"))
	booking, _ := paid.doc["bookingId"].(string)
	if paid.status != http.StatusCreated || booking == "" {
		t.Fatalf("%d %s", paid.status, paid.body)
	}
	leads := func(when string, q ask) {
		t.Helper()
		if got := s.refused(q, http.StatusConflict, "already-booked"); got.doc["bookingId"] != booking || got.doc["detail"] != "These seats are yours already." {
			t.Errorf("%s: %s", when, got.body)
		}
	}
	leads("before the locks show it", s.pays(id, "ann", "other", "tok_ok"))
	e, err := s.store.Event(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.locks.Book(t.Context(), e, id, []string{"A0", "A1", "A2", "A3", "A4", "A5"}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"other", "another", "another"} {
		leads("with the key "+key, s.pays(id, "ann", key, "tok_ok"))
	}
	leads("looking at it", get("ann"))
	s.refused(get("eve"), http.StatusForbidden, "hold-not-yours")
	if again := s.do(s.pays(id, "ann", "pay", "tok_ok")); again.body != paid.body {
		t.Errorf("the key it was paid with: %s", again.body)
	}
	if n := len(s.box.Payments()); n != 1 {
		t.Errorf("%d payments", n)
	}
	if err := s.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	leads("after the locks were lost", get("ann"))
	leads("paying after the locks were lost", s.pays(id, "ann", "late", "tok_ok"))
	s.refused(get("eve"), http.StatusNotFound, "hold-unknown")
}
