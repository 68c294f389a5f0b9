package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment/sandbox"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
)

// TestEveryProblemIsReached walks into every refusal of the surface; the list of
// them is read from the source, so that a new one is walked into too.
func TestEveryProblemIsReached(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(6, 3)
	id := s.hold(event, "ann", "k", seats("A0"))
	reached := make(map[string]bool)
	refused := func(q ask, status int, code string) answer {
		t.Helper()
		reached[code] = true
		return s.refused(q, status, code)
	}
	get := func(path, visitor string) ask { return ask{method: http.MethodGet, path: path, pass: s.pass(visitor)} }

	refused(get("/v1/nowhere", "ann"), 404, "not-found")
	refused(ask{method: http.MethodPatch, path: "/v1/holds/" + id}, 404, "not-found")
	refused(s.holds("no-such-event", "ann", "k", seats("A1")), 404, "event-unknown")
	conflict := refused(s.holds(event, "bob", "k1", seats("A0", "A1")), 409, "cells-unavailable")
	if got := fmt.Sprint(conflict.doc["conflicts"]); got != "[A0]" {
		t.Errorf("the conflict is about %s", got)
	}
	short := refused(s.holds(event, "bob", "k2", `{"area":{"id":"S","quantity":4}}`), 409, "area-short")
	if short.doc["available"] != float64(3) || short.doc["area"] != "S" {
		t.Errorf("short: %s", short.body)
	}
	refused(s.holds(event, "bob", "k3", seats("Z9")), 422, "cell-unknown")
	refused(s.holds(event, "bob", "k4", `{"area":{"id":"T","quantity":1}}`), 422, "cell-unknown")
	refused(s.holds(event, "bob", "k5", `{"cells":["a{b}"]}`), 422, "cell-unknown")
	refused(s.holds(event, "bob", "", seats("A1")), 400, "idempotency-missing")
	refused(s.holds(event, "bob", "k6", `{`), 400, "malformed")
	refused(s.holds(event, "bob", "k7", `{"cells":["`+strings.Repeat("x", 65<<10)+`"]}`), 413, "too-large")
	refused(s.holds(event, "ann", "k", seats("A1")), 422, "idempotency-mismatch")
	unpassed := s.holds(event, "bob", "k8", seats("A1"))
	unpassed.pass = ""
	refused(unpassed, 401, "pass-required")
	old := s.claims("bob")
	old.Expires = old.IssuedAt.Add(time.Minute)
	expired := s.holds(event, "bob", "k9", seats("A1"))
	expired.pass = s.sign(old)
	s.clock.Advance(time.Minute)
	refused(expired, 401, "pass-expired")
	limited := s.holds(event, "bob", "k10", seats("A1", "A2"))
	one := s.claims("bob")
	one.Limit = 1
	limited.pass = s.sign(one)
	refused(limited, 403, "purchase-limit")

	refused(get("/v1/holds/"+sale.HoldID(event, "ann", "other"), "ann"), 404, "hold-unknown")
	refused(get("/v1/holds/"+id, "eve"), 403, "hold-not-yours")
	refused(get("/v1/bookings/b_11111111-1111-4111-8111-111111111111", "ann"), 404, "booking-unknown")
	refused(s.pays(id, "ann", "declined", "tok_declined"), 402, "payment-declined")
	waiting := s.do(s.pays(id, "ann", "waits", "tok_never"))
	if waiting.status != http.StatusAccepted || waiting.doc["state"] != "authorising" || waiting.header.Get("Retry-After") == "" {
		t.Errorf("a payment that is not decided: %d %v %s", waiting.status, waiting.header, waiting.body)
	}
	refused(s.pays(id, "ann", "second", "tok_ok"), 409, "payment-under-way")
	refused(s.pays(id, "ann", "declined", "tok_ok"), 422, "idempotency-mismatch")
	cancel(t, s, waiting)
	refused(s.pays(id, "ann", "waits", "tok_never"), 410, "payment-expired")
	gone := s.hold(event, "ann", "gone", seats("A1"))
	s.do(ask{method: http.MethodDelete, path: "/v1/holds/" + gone, pass: s.pass("ann")})
	refused(get("/v1/holds/"+gone, "ann"), 410, "hold-expired")

	inFlight(s, event, refused)
	body := `{"id":"ev_1","payment":"sb_1","booking":"b_11111111-1111-4111-8111-111111111111","status":"x"}`
	hook := ask{method: http.MethodPost, path: "/v1/psp/sandbox/webhook", body: body}
	refused(hook, 400, "signature-invalid")
	hook.header = map[string]string{"Webhook-Signature": sandbox.Sign(s.secret, []byte(body), s.clock.Now())}
	refused(hook, 409, "booking-unknown-yet")
	elsewhere := hook
	elsewhere.path = "/v1/psp/nobody/webhook"
	refused(elsewhere, 404, "not-found")

	small := s.event(1, 0)
	last := s.hold(small, "ann", "last", seats("A0"))
	refused(s.holds(small, "bob", "all", seats("A0")), 409, "all-held")
	if got := s.do(s.pays(last, "ann", "last", "tok_ok")); got.status != http.StatusCreated {
		t.Fatalf("the last seat: %d %s", got.status, got.body)
	}
	booked(t, s, small, last)
	refused(get("/v1/holds/"+last, "ann"), 409, "already-booked")
	refused(s.holds(small, "bob", "sold", seats("A0")), 410, "sold-out")
	closed := s.event(1, 0)
	if _, err := s.store.SetPhase(t.Context(), closed, allocator.PhaseClosed); err != nil {
		t.Fatal(err)
	}
	refused(s.holds(closed, "bob", "closed", seats("A0")), 403, "sale-not-open")
	panics := s.hold(event, "dan", "panic", seats("A5"))
	refused(s.pays(panics, "dan", "panic", "tok_panic"), 500, "internal")
	missing := error(allocator.ErrUnavailable)
	s.missing.Store(&missing)
	refused(ask{method: http.MethodGet, path: "/readyz"}, 503, "not-ready")
	s.redis.Kill()
	if got := refused(s.holds(event, "bob", "late", seats("A2")), 503, "overloaded"); got.header.Get("Retry-After") == "" {
		t.Error("it is not said when to come back")
	}

	source, err := os.ReadFile("problems.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile(`Code: "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		all = append(all, m[1])
	}
	if got := slices.Sorted(maps.Keys(reached)); !slices.Equal(got, slices.Sorted(slices.Values(all))) {
		t.Errorf("reached %v of %v", got, all)
	}
}

// cancel is what a provider does to a payment that is given up at its own side.
func cancel(t *testing.T, s *shop, waiting answer) {
	t.Helper()
	id, _ := waiting.doc["bookingId"].(string)
	made, err := s.box.Find(t.Context(), id)
	if err != nil || len(made) != 1 {
		t.Fatalf("%d payments: %v", len(made), err)
	}
	if _, err := s.box.Cancel(t.Context(), made[0].ID, "by hand"); err != nil {
		t.Fatal(err)
	}
}

// booked shows the seats of a hold as sold, as the outbox does.
func booked(t *testing.T, s *shop, event, hold string) {
	t.Helper()
	e, err := s.store.Event(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.locks.Book(t.Context(), e, hold, []string{"A0"}); err != nil {
		t.Fatal(err)
	}
}

// inFlight comes with a key whose first request is still at the provider.
func inFlight(s *shop, event string, refused func(q ask, status int, code string) answer) {
	s.t.Helper()
	id := s.hold(event, "cid", "k", seats("A3"))
	for len(s.box.asked) > 0 {
		<-s.box.asked
	}
	first := make(chan answer)
	go func() { first <- s.do(s.pays(id, "cid", "slow", "tok_slow")) }()
	<-s.box.asked
	refused(s.pays(id, "cid", "slow", "tok_slow"), 409, "idempotency-in-flight")
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case got := <-first:
			if got.status != http.StatusCreated {
				s.t.Errorf("the first request: %d %s", got.status, got.body)
			}
			return
		case <-tick.C: // the provider's time passes
			s.clock.Advance(100 * time.Millisecond)
		}
	}
}

func TestNoPassButAGoodOneOpensAnythingQ3(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(3, 0)
	id := s.hold(event, "ann", "k", seats("A0"))
	paid := s.do(s.pays(id, "ann", "pay", "tok_ok"))
	booking, _ := paid.doc["bookingId"].(string)

	good := s.pass("ann")
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"waitroom-pass+jwt"}`)) + "." + parts[1] + "."
	other := s.claims("ann")
	other.Room = "another-room"
	early := s.claims("ann")
	early.IssuedAt, early.Expires = early.IssuedAt.Add(time.Hour), early.Expires.Add(time.Hour)
	for name, token := range map[string]string{
		"none": "", "nonsense": "nonsense", "alg none": none, "no signature": parts[0] + "." + parts[1] + ".",
		"another's signature": parts[0] + "." + parts[1] + "." + strings.Split(s.pass("bob"), ".")[2],
		"another room's":      s.sign(other), "too long": strings.Repeat("a", 5000), "not yet": s.sign(early),
	} {
		for _, q := range []ask{
			{method: http.MethodPost, path: "/v1/events/" + event + "/holds", key: "k", body: seats("A1")},
			{method: http.MethodGet, path: "/v1/holds/" + id},
			{method: http.MethodDelete, path: "/v1/holds/" + id},
			{method: http.MethodPost, path: "/v1/holds/" + id + "/checkout", key: "k", body: pays("tok_ok")},
			{method: http.MethodGet, path: "/v1/bookings/" + booking},
		} {
			q.pass = token
			got := s.do(q)
			hidden := token != "" && strings.Contains(q.path, "bookings") && got.status == http.StatusNotFound
			if got.status != http.StatusUnauthorized && !hidden {
				t.Errorf("%s: %s %s was answered %d %s", name, q.method, q.path, got.status, got.body)
			}
			if token != "" && strings.Contains(got.body, token) || strings.Contains(got.body, "Lovelace") {
				t.Errorf("%s: %s %s tells too much: %s", name, q.method, q.path, got.body)
			}
		}
	}
}

func TestWhoseBookingItIsNotLearnsNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(3, 0)
	id := s.hold(event, "ann", "k", seats("A0"))
	paid := s.do(s.pays(id, "ann", "pay", "tok_ok"))
	booking, _ := paid.doc["bookingId"].(string)
	foreign := s.claims("eve")
	foreign.Room = "another-room"
	for name, token := range map[string]string{"another visitor": s.pass("eve"), "another room": s.sign(foreign), "nonsense": "nonsense", "nothing": ""} {
		there := s.do(ask{method: http.MethodGet, path: "/v1/bookings/" + booking, pass: token})
		nowhere := s.do(ask{method: http.MethodGet, path: "/v1/bookings/b_11111111-1111-4111-8111-111111111111", pass: token})
		if there.status != nowhere.status || there.body != nowhere.body {
			t.Errorf("%s tells a booking that exists from one that does not: %d %s and %d %s", name, there.status, there.body, nowhere.status, nowhere.body)
		}
	}
	for _, q := range []ask{
		{method: http.MethodGet, path: "/v1/holds/" + id, pass: s.pass("eve")},
		{method: http.MethodDelete, path: "/v1/holds/" + s.hold(event, "bob", "k", seats("A1")), pass: s.pass("eve")},
	} {
		if got := s.do(q); got.status < 400 || strings.Contains(got.body, "A0") || strings.Contains(got.body, "ann") {
			t.Errorf("%s %s: %d %s", q.method, q.path, got.status, got.body)
		}
	}
}

func TestARepeatedCheckoutGetsItsFirstAnswerI8(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(3, 0)
	for cell, method := range map[string]string{"A0": "tok_ok", "A1": "tok_declined"} {
		id := s.hold(event, "ann", cell, seats(cell))
		first := s.do(s.pays(id, "ann", method, method))
		for _, key := range []string{method, `"` + method + `"`} {
			again := s.do(s.pays(id, "ann", key, method))
			if again.status != first.status || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s: %d %v %s, want the first answer again: %s", key, again.status, again.header, again.body, first.body)
			}
		}
		if first.header.Get("Idempotent-Replayed") != "" {
			t.Error("the first answer calls itself a repeat")
		}
		changed := s.pays(id, "ann", method, method)
		changed.body = strings.Replace(changed.body, "Ada", "Eve", 1)
		s.refused(changed, 422, "idempotency-mismatch")
		stranger := s.pays(id, "eve", method, method) // guesses the key
		if got := s.do(stranger); got.status != http.StatusForbidden || strings.Contains(got.body, "Lovelace") {
			t.Errorf("a stranger with the key: %d %s", got.status, got.body)
		}
	}
	if n := len(s.box.Payments()); n != 2 {
		t.Errorf("%d payments, want 2", n)
	}
	for _, bad := range []string{`""`, `"`, "two words", "quo\"te", `back\slash`, strings.Repeat("k", 256), "ümlaut", " "} {
		q := s.pays(s.hold(event, "bob", "k", seats("A2")), "bob", bad, "tok_ok")
		s.refused(q, 400, "idempotency-missing")
	}
}

func TestBodiesThatMakeNoSenseAreRefusedWithTheirFault(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(3, 3)
	id := s.hold(event, "ann", "k", seats("A0"))
	many, _ := json.Marshal(map[string][]string{"cells": slices.Repeat([]string{"A0"}, 10_000)})
	for name, tt := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"nothing":           {"", 400, "malformed"},
		"null":              {"null", 400, "malformed"},
		"a list":            {"[]", 400, "malformed"},
		"half":              {`{"cells":["A1"`, 400, "malformed"},
		"no cells":          {`{"cells":[]}`, 400, "malformed"},
		"both":              {`{"cells":["A1"],"area":{"id":"S","quantity":1}}`, 400, "malformed"},
		"no quantity":       {`{"area":{"id":"S"}}`, 400, "malformed"},
		"less than none":    {`{"area":{"id":"S","quantity":-1}}`, 400, "malformed"},
		"half a place":      {`{"area":{"id":"S","quantity":1.5}}`, 400, "malformed"},
		"unknown member":    {`{"cells":["A1"],"price":1}`, 400, "malformed"},
		"long member":       {`{"` + strings.Repeat("m", 10_000) + `":1}`, 400, "malformed"},
		"trailing":          {`{"cells":["A1"]}{"cells":["A2"]}`, 400, "malformed"},
		"trailing nonsense": {`{"cells":["A1"]}x`, 400, "malformed"},
		"deep":              {strings.Repeat("[", 60_000), 400, "malformed"},
		"deep and closed":   {`{"cells":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}`, 400, "malformed"},
		"65 KB":             {`{"cells":["A1"]}` + strings.Repeat(" ", 65<<10), 413, "too-large"},
		"101 cells":         {string(must(json.Marshal(map[string][]string{"cells": slices.Repeat([]string{"A0"}, 101)}))), 403, "purchase-limit"},
		"10,000 cells":      {string(many), 403, "purchase-limit"},
		"10,000 places":     {`{"area":{"id":"S","quantity":10000}}`, 403, "purchase-limit"},
		"a long cell":       {seats(strings.Repeat("A", 65)), 422, "cell-unknown"},
		"control bytes":     {`{"cells":["A\u0000"]}`, 422, "cell-unknown"},
		"a unit by name":    {seats("S0"), 422, "cell-unknown"},
	} {
		q := s.holds(event, "ann", "k-"+strings.ReplaceAll(name, " ", "-"), tt.body)
		got := s.refused(q, tt.status, tt.code)
		if len(got.body) > 1000 {
			t.Errorf("%s: an answer of %d bytes", name, len(got.body))
		}
		if strings.HasPrefix(name, "deep") && !strings.Contains(got.body, "nested too deeply") {
			t.Errorf("%s: it came to the decoder: %s", name, got.body)
		}
	}
	for name, body := range map[string]string{
		"no method": strings.Replace(pays("tok_ok"), "tok_ok", "", 1), "a method with a space": pays("tok ok"),
		"a card number's length": pays(strings.Repeat("4", 65)), "no name": strings.Replace(pays("tok_ok"), "Ada Lovelace", " ", 1),
		"a name of two lines":    strings.Replace(pays("tok_ok"), "Ada Lovelace", `Ada\nBcc: x`, 1),
		"a long name":            strings.Replace(pays("tok_ok"), "Ada Lovelace", strings.Repeat("A", 201), 1),
		"no address":             strings.Replace(pays("tok_ok"), "ada@example.org", "ada", 1),
		"an address with a name": strings.Replace(pays("tok_ok"), "ada@example.org", "Ada <ada@example.org>", 1),
	} {
		q := s.pays(id, "ann", "c-"+strings.ReplaceAll(name, " ", "-"), "tok_ok")
		q.body = body
		s.refused(q, 400, "malformed")
	}
	if n := len(s.box.Payments()); n != 0 {
		t.Errorf("%d payments were made of nonsense", n)
	}
}

func TestOneCrowdOneSeatOverHTTPI1(t *testing.T) {
	t.Parallel()
	s := open(t)
	event := s.event(3, 0)
	codes := make(chan string, 200)
	for i := range cap(codes) {
		q := s.holds(event, fmt.Sprint("fan", i), "k", seats("A1"))
		go func() {
			got := s.do(q)
			codes <- fmt.Sprint(got.status, got.code())
		}()
	}
	count := make(map[string]int)
	for range cap(codes) {
		count[<-codes]++
	}
	if count["201"] != 1 || count["409cells-unavailable"] != 199 {
		t.Errorf("got %v", count)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// FuzzHoldBody sends anything as the body of a hold: it is answered with a hold, or
// with a refusal of the client.
func FuzzHoldBody(f *testing.F) {
	s := open(f)
	event := s.event(6, 3)
	for _, body := range []string{seats("A0"), `{"area":{"id":"S","quantity":1}}`, `{"cells":["A0"],"area":null}`, `{"CELLS":["A0"]}`, "null", "{}", `{"cells":[["A0"]]}`, "\xff", `{"cells":["\ud800"]}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		of := &shop{t: t, handler: s.handler, signer: s.signer, clock: s.clock}
		got := of.do(of.holds(event, "ann", "k", body))
		if got.status != http.StatusCreated && (got.status < 400 || got.status >= 500) {
			t.Errorf("%q was answered %d %s", body, got.status, got.body)
		}
	})
}
