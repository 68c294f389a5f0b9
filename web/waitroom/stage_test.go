package waitroompage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/pow"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

const base = "/.waitroom/arena/"

// stage plays a room to the page: what each endpoint answers is the test's to say.
type stage struct {
	*httptest.Server
	t      *testing.T
	issuer *pow.Issuer
	fan    pow.Binding

	mu       sync.Mutex
	page     Page
	work     pow.Work // of joining; none if Count is 0
	noSolver bool     // the solver cannot be loaded
	refusals map[string][]refusal
	calls    []string
	streams  map[chan string]struct{}
	stream   string // origin of the stream, if it is another
	greeting string // first events of a stream
	drawn    *published
}

// refusal is an answer that a test puts in place of the usual one. Times is how
// often; 0 is for ever.
type refusal struct {
	status int
	code   string
	retry  string
	body   string // instead of a problem document
	times  int
}

func newStage(t *testing.T, status room.Status, joined bool) *stage {
	t.Helper()
	key := pow.Key{ID: 1}
	copy(key.Secret[:], "a secret of this test, 32 bytes.")
	visitor, err := place.NewVisitor(strings.NewReader("sixteen bytes..."))
	if err != nil {
		t.Fatal(err)
	}
	status.Room, status.Visitor = "arena", visitor.String()
	s := &stage{
		t: t, issuer: pow.NewIssuer(clock.System(), key), fan: pow.Binding{Room: "arena", Action: pow.Join, Visitor: visitor},
		page:     Page{Status: status, Joined: joined, Base: base, Location: "/"},
		refusals: make(map[string][]refusal), streams: make(map[chan string]struct{}),
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.drop()
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *stage) serve(w http.ResponseWriter, r *http.Request) {
	if a := FindAsset(r.URL.Path); a != nil && !(s.noSolver && r.URL.Path == solverPath()) {
		a.ServeHTTP(w, r)
		return
	}
	do, ours := strings.CutPrefix(r.URL.Path, base)
	s.mu.Lock()
	s.calls = append(s.calls, r.Method+" "+strings.TrimPrefix(r.URL.RequestURI(), base))
	refused, given := s.refusedLocked(do)
	s.mu.Unlock()
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}
	switch {
	case given && ours:
		refused.write(w)
	case r.URL.Path == "/inside":
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><title>inside</title><link rel="icon" href="data:,"><p id="inside">The site`))
	case !ours:
		s.show(w, r)
	case r.Method == http.MethodPost && strings.Contains(r.Header.Get("Accept"), "text/html"):
		s.form(w, r, do)
	case do == "join":
		s.join(w, r)
	case do == "status" || do == "board":
		s.say(w, http.StatusOK)
	case do == "claim":
		_ = json.NewEncoder(w).Encode(map[string]string{"location": "/inside"})
	case do == "leave":
		w.WriteHeader(http.StatusNoContent)
	case do == "device":
		_ = json.NewEncoder(w).Encode(map[string]any{"link": "http://another.example" + base + "device?t=one", "expires": noon})
	case do == "draw" || do == "draw/proof" || do == "draw/cohort":
		s.drawn.serve(w, do)
	case do == "stream":
		s.serveStream(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *stage) refusedLocked(do string) (refusal, bool) {
	list := s.refusals[do]
	if len(list) == 0 {
		return refusal{}, false
	}
	first := list[0]
	if first.times == 1 {
		s.refusals[do] = list[1:]
	} else if first.times > 1 {
		s.refusals[do] = append([]refusal{first}, list[1:]...)
		s.refusals[do][0].times--
	}
	return first, true
}

func (p refusal) write(w http.ResponseWriter) {
	if p.retry != "" {
		w.Header().Set("Retry-After", p.retry)
	}
	if p.body != "" {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(p.status)
		_, _ = w.Write([]byte(p.body))
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": p.code, "status": p.status, "detail": "The room says: " + p.code + "."})
}

func (s *stage) show(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	p := s.page
	p.Location = r.URL.RequestURI()
	p.Now, p.Status.Stream = time.Now(), s.stream+base+"stream"
	s.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", CSP(s.stream))
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("Referrer-Policy", "same-origin")
	if err := Render(w, p); err != nil {
		s.t.Error(err)
	}
}

// form is what a browser without scripts sends.
func (s *stage) form(w http.ResponseWriter, r *http.Request, do string) {
	to := r.URL.Query().Get("to")
	s.mu.Lock()
	switch do {
	case "join":
		s.page.Joined = true
	case "claim":
		to = "/inside"
	case "leave":
		s.page.Joined = false
		to += "#left"
	}
	s.mu.Unlock()
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

func (s *stage) join(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	work := s.work
	s.mu.Unlock()
	if answer := r.Header.Get("Botguard-Answer"); work.Count > 0 && (answer == "" || s.issuer.Verify(answer, s.fan) != nil) {
		token, err := s.issuer.Issue(s.fan, work)
		if err != nil {
			s.t.Error(err)
		}
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]any{"code": "challenge-required", "challenge": map[string]any{"token": token, "wait": int(work.Wait.Seconds())}})
		return
	}
	s.mu.Lock()
	again := s.page.Joined
	s.page.Joined = true
	s.mu.Unlock()
	if again {
		s.say(w, http.StatusOK)
	} else {
		s.say(w, http.StatusCreated)
	}
}

func (s *stage) say(w http.ResponseWriter, code int) {
	s.mu.Lock()
	status := s.page.Status
	status.Stream = s.stream + base + "stream"
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(status)
}

func (s *stage) serveStream(w http.ResponseWriter, r *http.Request) {
	lines := make(chan string, 64)
	s.mu.Lock()
	s.streams[lines] = struct{}{}
	greeting := s.greeting
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = w.Write([]byte(greeting))
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	for {
		select {
		case <-r.Context().Done():
			s.mu.Lock()
			delete(s.streams, lines)
			s.mu.Unlock()
			return
		case line, open := <-lines:
			if !open {
				return
			}
			_, _ = w.Write([]byte(line))
			_ = flush.Flush()
		}
	}
}

// send writes to every open stream, after there is one.
func (s *stage) send(event string, doc any) {
	s.t.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", event, text))
}

func (s *stage) write(text string) {
	s.t.Helper()
	s.until("a stream is open", func() bool { return len(s.streams) > 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	for lines := range s.streams {
		lines <- text
	}
}

// drop ends every stream, as a crashed edge does.
func (s *stage) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for lines := range s.streams {
		close(lines)
		delete(s.streams, lines)
	}
}

func (s *stage) refuse(do string, how ...refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals[do] = how
}

// change what the room says from now on.
func (s *stage) change(change func(*Page)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.page)
}

// called lists the calls that begin with a text.
func (s *stage) called(with string) (calls []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if strings.HasPrefix(c, with) {
			calls = append(calls, c)
		}
	}
	return slices.Clip(calls)
}

// until waits for a condition that holds under the lock.
func (s *stage) until(what string, holds func() bool) {
	s.t.Helper()
	eventually.Holds(s.t, what, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return holds()
	})
}
