package shop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/mapfan"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
	"github.com/caddy-tickets/caddy-tickets/internal/seatplan"
)

// venue is a plan with all that is derived of it, made once: 50,000 seats take a while.
type venue struct {
	layout   []byte
	hash     string
	cells    []seatplan.Cell
	ordinal  map[string]int
	category []seatplan.Category
}

func newVenue(seats, standing int) *venue {
	p, err := seatplan.Generate(seatplan.Ask{Name: "Night of the Proms", Seats: seats, Standing: standing})
	if err != nil {
		panic(err)
	}
	v := &venue{cells: p.Cells(), category: p.Categories, ordinal: make(map[string]int)}
	if v.layout, v.hash, err = p.Layout(); err != nil {
		panic(err)
	}
	for _, c := range v.cells {
		v.ordinal[c.ID] = c.Ordinal
	}
	return v
}

var (
	stadium = sync.OnceValue(func() *venue { return newVenue(50_000, 0) })
	hall    = sync.OnceValue(func() *venue { return newVenue(500, 60) })
)

// stage is an origin with the shop and an allocator's surface, played. It holds seats
// and sells them as the real one does, and is told to fail in every way that one can.
type stage struct {
	*httptest.Server
	t     *testing.T
	venue *venue

	mu       sync.Mutex
	channel  *mapfan.Channel               // guarded by mu, as is all that follows
	holds    map[string]*hold              // by id
	bookings map[string]map[string]any     // by id
	answers  map[string]answer             // by idempotency key
	trouble  map[string][]*problem.Problem // by operation, the next answers
	lose     map[string]int                // by operation, how many answers get lost; the browser asks again by itself, too
	mask     map[string]int                // by operation, how many answers are 503 although it was done
	calls    []string
	noLive   bool          // streams are refused
	gaps     int           // so many streams have a gap
	holdTime time.Duration // of a hold
	pending  int           // how often a payment is still pending when asked
	release  *time.Time    // the next release, if everything is held
}

type hold struct {
	id      string
	cells   []string
	price   int64
	expires time.Time
	paying  bool
}

type answer struct {
	status int
	body   any
}

func newStage(t *testing.T, v *venue) *stage {
	t.Helper()
	s := &stage{
		t: t, venue: v, channel: mapfan.New(100), holds: make(map[string]*hold), bookings: make(map[string]map[string]any),
		answers: make(map[string]answer), trouble: make(map[string][]*problem.Problem), lose: make(map[string]int), mask: make(map[string]int), holdTime: 5 * time.Minute,
	}
	s.reset(1, make([]byte, mapframe.BitsLen(len(v.cells))))
	s.recount()
	mux := http.NewServeMux()
	mux.Handle("/", New("proms", "/done"))
	mux.HandleFunc("GET /done", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("bye")) })
	api := "/api/v1/"
	mux.HandleFunc("GET "+api+"events/proms", s.event)
	mux.HandleFunc("GET "+api+"events/proms/{what}", s.map_)
	mux.HandleFunc("POST "+api+"events/proms/holds", s.do("hold", s.hold))
	mux.HandleFunc("GET "+api+"holds/{hold}", s.do("get", s.getHold))
	mux.HandleFunc("DELETE "+api+"holds/{hold}", s.do("release", s.deleteHold))
	mux.HandleFunc("POST "+api+"holds/{hold}/checkout", s.do("pay", s.pay))
	mux.HandleFunc("GET "+api+"bookings/{booking}", s.do("booking", s.booking))
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() { s.live().Close(); s.Server.Close() })
	return s
}

func (s *stage) live() *mapfan.Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channel
}

// reset shows a whole map anew.
func (s *stage) reset(epoch uint64, bits []byte) {
	if err := s.channel.Reset(mapframe.Snapshot{At: mapframe.Version{Epoch: epoch}, Cells: len(s.venue.cells), Bits: bits}); err != nil {
		s.t.Fatal(err)
	}
}

// set changes seats as the next version, and the counts.
func (s *stage) set(state mapframe.State, ids ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLocked(state, ids...)
}

func (s *stage) setLocked(state mapframe.State, ids ...string) {
	states := make(map[int]mapframe.State)
	for _, id := range ids {
		ordinal, known := s.venue.ordinal[id]
		if !known {
			s.t.Errorf("there is no cell %s", id)
		}
		states[ordinal] = state
	}
	at, _ := s.channel.At()
	d := mapframe.Delta{Epoch: at.Epoch, From: at.Ver, To: at.Ver + 1, Changes: mapframe.Changes(states)}
	if err := s.channel.Apply(d); err != nil {
		s.t.Error(err)
	}
	s.recount()
}

// state is what the map shows for a seat. Called with s.mu held.
func (s *stage) state(id string) mapframe.State {
	frame, _, _ := s.channel.Snapshot()
	f, err := mapframe.Decode(frame)
	if err != nil {
		s.t.Error(err)
	}
	i := s.venue.ordinal[id]
	return mapframe.State(f.Snapshot.Bits[i/4] >> (i % 4 * 2) & 3)
}

func (s *stage) price(category int) int64 { return int64(9000 - 1000*category) }

// recount makes the summary of the map. Called with s.mu held.
func (s *stage) recount() {
	frame, _, _ := s.channel.Snapshot()
	f, err := mapframe.Decode(frame)
	if err != nil {
		s.t.Error(err)
		return
	}
	type category struct {
		Name     string `json:"name"`
		Price    int64  `json:"price"`
		Capacity int    `json:"capacity"`
		Free     int    `json:"free"`
		Held     int    `json:"held"`
	}
	categories := make([]category, len(s.venue.category))
	for i, c := range s.venue.category {
		categories[i] = category{Name: c.Name, Price: s.price(i)}
	}
	var n [4]int
	for i, c := range s.venue.cells {
		state := f.Snapshot.Bits[i/4] >> (i % 4 * 2) & 3
		n[state]++
		one := &categories[c.Category]
		one.Capacity++
		switch mapframe.State(state) {
		case mapframe.Free:
			one.Free++
		case mapframe.Held:
			one.Held++
		}
	}
	state := "sold-out"
	if n[0] > 0 {
		state = "available"
	} else if n[1] > 0 {
		state = "all-held"
	}
	document, err := json.Marshal(map[string]any{
		"event": "proms", "state": state, "capacity": n[0] + n[1] + n[2], "free": n[0], "held": n[1], "booked": n[2],
		"nextReleaseAt": s.release, "currency": "EUR", "categories": categories,
	})
	if err != nil {
		s.t.Error(err)
	}
	s.channel.SetCounts(document)
}

func (s *stage) event(w http.ResponseWriter, _ *http.Request) {
	categories := make([]map[string]any, len(s.venue.category))
	for i, c := range s.venue.category {
		categories[i] = map[string]any{"name": c.Name, "color": c.Color, "price": s.price(i)}
	}
	send(w, http.StatusOK, map[string]any{
		"event": "proms", "name": "Night of the Proms", "phase": "open", "currency": "EUR", "capacity": len(s.venue.cells),
		"categories": categories, "layout": "/v1/events/proms/layout@" + s.venue.hash, "holdSeconds": 300, "paySeconds": 600, "maxPerPass": 6,
	})
}

func (s *stage) map_(w http.ResponseWriter, r *http.Request) {
	what := r.PathValue("what")
	s.mu.Lock()
	s.calls = append(s.calls, strings.TrimSpace(what+" "+r.URL.RawQuery))
	c, refused := s.channel, s.noLive
	s.mu.Unlock()
	switch {
	case what == "live" && s.gapNow():
		s.serveGap(w, r, c)
	case what == "live" && refused:
		problem.Write(w, &problem.Problem{Code: "too-many-viewers", Status: http.StatusServiceUnavailable})
	case what == "live":
		c.ServeLive(w, r, clock.System())
	case what == "availability":
		c.ServeAvailability(w, r)
	case what == "summary":
		c.ServeSummary(w, r)
	case what == "layout@"+s.venue.hash:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = w.Write(s.venue.layout)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// gapNow says whether the next stream has a gap.
func (s *stage) gapNow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gaps == 0 {
		return false
	}
	s.gaps--
	return true
}

// serveGap is a stream whose second frame does not follow the first.
func (s *stage) serveGap(w http.ResponseWriter, r *http.Request, c *mapfan.Channel) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{mapframe.Subprotocol}})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	frame, at, _ := c.Snapshot()
	wrong := mapframe.AppendDelta(nil, mapframe.Delta{Epoch: at.Epoch, From: at.Ver + 5, To: at.Ver + 6, Changes: []mapframe.Change{{Ordinal: 0, State: mapframe.Booked}}})
	for _, b := range [][]byte{frame, mapframe.AppendCounts(nil, c.Counts()), wrong} {
		if conn.Write(r.Context(), websocket.MessageBinary, b) != nil {
			return
		}
	}
	_, _, _ = conn.Read(r.Context()) // until the page has had enough
}

// do wraps an operation in what the surface adds: idempotency, and the troubles that
// a test has asked for.
func (s *stage) do(name string, act func(r *http.Request) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.calls = append(s.calls, name)
		if next := s.trouble[name]; len(next) > 0 {
			s.trouble[name] = next[1:]
			// As on the real surface: a refusal is the answer to its key for good.
			if key := r.Header.Get("Idempotency-Key"); key != "" && next[0].Status < 500 && next[0].Status != http.StatusUnauthorized {
				s.answers[key] = answer{next[0].Status, next[0]}
			}
			problem.Write(w, next[0])
			return
		}
		key := r.Header.Get("Idempotency-Key")
		if r.Method == http.MethodPost && key == "" {
			problem.Write(w, &problem.Problem{Code: "idempotency-missing", Status: http.StatusBadRequest})
			return
		}
		got, again := s.answers[key]
		if key == "" || !again {
			got = act(r)
			if key != "" {
				s.answers[key] = got
			}
		}
		if s.mask[name] > 0 {
			s.mask[name]--
			problem.Write(w, &problem.Problem{Code: "overloaded", Status: http.StatusServiceUnavailable, Title: "A moment, please", RetryAfter: 300 * time.Millisecond})
			return
		}
		if s.lose[name] > 0 {
			s.lose[name]--
			panic(http.ErrAbortHandler)
		}
		if p, is := got.body.(*problem.Problem); is {
			problem.Write(w, p)
			return
		}
		send(w, got.status, got.body)
	}
}

func refuse(status int, code, title string) answer {
	return answer{status, &problem.Problem{Code: code, Status: status, Title: title, Detail: title + "."}}
}

func (s *stage) hold(r *http.Request) answer {
	var ask struct {
		Cells []string `json:"cells"`
		Area  *struct {
			ID       string `json:"id"`
			Quantity int    `json:"quantity"`
		} `json:"area"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		return refuse(http.StatusBadRequest, "malformed", "The request cannot be read")
	}
	if ask.Area != nil {
		for _, c := range s.venue.cells {
			if c.Area == ask.Area.ID && s.state(c.ID) == mapframe.Free && len(ask.Cells) < ask.Area.Quantity {
				ask.Cells = append(ask.Cells, c.ID)
			}
		}
		if len(ask.Cells) < ask.Area.Quantity {
			return answer{http.StatusConflict, (&problem.Problem{Code: "area-short", Status: http.StatusConflict, Title: "Not that many are left"}).With("available", len(ask.Cells))}
		}
	}
	var conflicts []string
	h := &hold{id: fmt.Sprintf("h_proms_%d", len(s.holds)+1), cells: ask.Cells, expires: time.Now().Add(s.holdTime)}
	for _, id := range ask.Cells {
		if s.state(id) != mapframe.Free {
			conflicts = append(conflicts, id)
		}
		h.price += s.price(s.venue.cells[s.venue.ordinal[id]].Category)
	}
	if len(conflicts) > 0 {
		return answer{http.StatusConflict, (&problem.Problem{
			Code: "cells-unavailable", Status: http.StatusConflict, Title: "Seats are taken",
			Detail: "Somebody else has some of these seats. Nothing was held; choose others.",
		}).With("conflicts", conflicts)}
	}
	s.holds[h.id] = h
	s.setLocked(mapframe.Held, h.cells...)
	return answer{http.StatusCreated, h.reply()}
}

func (h *hold) reply() map[string]any {
	return map[string]any{
		"holdId": h.id, "event": "proms", "cells": h.cells, "fence": "1", "price": map[string]any{"amount": h.price, "currency": "EUR"},
		"paying": h.paying, "expiresAt": h.expires, "expiresInSeconds": max(0, int(time.Until(h.expires).Seconds())), "serverTime": time.Now(),
	}
}

// find finds a hold that is still alive.
func (s *stage) find(r *http.Request) (*hold, answer) {
	h := s.holds[r.PathValue("hold")]
	switch {
	case h == nil:
		return nil, refuse(http.StatusNotFound, "hold-unknown", "There is no such hold")
	case time.Now().After(h.expires) && !h.paying:
		return nil, refuse(http.StatusGone, "hold-expired", "The time for these seats is over")
	}
	return h, answer{}
}

func (s *stage) getHold(r *http.Request) answer {
	h, refusal := s.find(r)
	if h == nil {
		return refusal
	}
	return answer{http.StatusOK, h.reply()}
}

func (s *stage) deleteHold(r *http.Request) answer {
	if h := s.holds[r.PathValue("hold")]; h != nil {
		delete(s.holds, h.id)
		s.setLocked(mapframe.Free, h.cells...)
	}
	return answer{status: http.StatusNoContent}
}

func (s *stage) pay(r *http.Request) answer {
	h, refusal := s.find(r)
	if h == nil {
		return refusal
	}
	var ask struct {
		Method string            `json:"method"`
		Buyer  map[string]string `json:"buyer"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || ask.Buyer["name"] == "" || !strings.Contains(ask.Buyer["email"], "@") {
		return refuse(http.StatusBadRequest, "malformed", "The buyer's email is no address such as ada@example.org")
	}
	if ask.Method == "tok_declined" {
		return answer{http.StatusPaymentRequired, &problem.Problem{
			Code: "payment-declined", Status: http.StatusPaymentRequired, Title: "The payment was declined",
			Detail: "No money was taken. Your seats are still held: try another means of payment.",
		}}
	}
	b := map[string]any{
		"bookingId": fmt.Sprintf("b_%d", len(s.bookings)+1), "event": "proms", "holdId": h.id, "state": "captured", "cells": h.cells,
		"price": map[string]any{"amount": h.price, "currency": "EUR"}, "buyer": ask.Buyer, "payBy": time.Now().Add(time.Minute), "createdAt": time.Now(),
	}
	s.bookings[b["bookingId"].(string)] = b
	if ask.Method == "tok_pending" {
		b["state"] = "authorising"
		h.paying = true
		return answer{http.StatusAccepted, b}
	}
	s.book(b)
	return answer{http.StatusCreated, b}
}

// book sells what a booking is for. Called with s.mu held.
func (s *stage) book(b map[string]any) {
	b["state"] = "captured"
	s.setLocked(mapframe.Booked, b["cells"].([]string)...)
	delete(s.holds, b["holdId"].(string))
}

func (s *stage) booking(r *http.Request) answer {
	b := s.bookings[r.PathValue("booking")]
	if b == nil {
		return refuse(http.StatusNotFound, "booking-unknown", "There is no such booking")
	}
	if b["state"] == "authorising" {
		if s.pending--; s.pending < 0 {
			s.book(b)
		}
	}
	return answer{http.StatusOK, b}
}

func send(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(cmp.Or(status, http.StatusOK))
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

// fail makes the next answers to an operation a problem.
func (s *stage) fail(name string, problems ...*problem.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble[name] = append(s.trouble[name], problems...)
}

// change changes the stage.
func (s *stage) change(act func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	act()
}

// called counts the calls of an operation; "" lists all.
func (s *stage) called(prefix string) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if strings.HasPrefix(c, prefix) {
			found = append(found, c)
		}
	}
	return slices.Clone(found)
}

// seats are n neighbours of a row.
func (v *venue) seats(row, n int) []string {
	var ids []string
	for _, c := range v.cells[row*20:] {
		if ids = append(ids, c.ID); len(ids) == n {
			break
		}
	}
	return ids
}

// ask asks a handler without a server.
func ask(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}
