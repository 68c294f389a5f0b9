package room

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
)

// site is a real site that a test makes behave in any way.
type site struct {
	*httptest.Server
	how   atomic.Value // string
	asked atomic.Int64
	hang  chan struct{}
}

func newSite(t *testing.T, how string) *site {
	t.Helper()
	s := &site{hang: make(chan struct{})}
	s.how.Store(how)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		switch how := s.how.Load().(string); how {
		case "hangs":
			select {
			case <-s.hang:
			case <-r.Context().Done():
			}
		case "breaks off":
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("half of"))
		case "closes":
			panic(http.ErrAbortHandler)
		case "is endless":
			for w.Header().Set("Content-Type", "text/plain"); ; {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		case "has an endless header":
			for i := range 100 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 4<<10))
			}
		case "redirects":
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound) // to where nobody answers
		default:
			var status int
			_, _ = fmt.Sscan(how, &status)
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(func() { close(s.hang); s.Close() })
	return s
}

// watched is an edge whose site is asked every two seconds.
func watched(t *testing.T, s *site) *edge {
	t.Helper()
	cfg := usual()
	cfg.Health = Health{URL: s.URL + "/healthz", Timeout: 200 * time.Millisecond}
	return openEdge(t, cfg)
}

// check lets the time to the next question pass and asks it.
func (e *edge) check() Site {
	e.t.Helper()
	e.clock.Advance(DefaultHealthEvery)
	e.checkHealth(e.t.Context())
	e.tick(e.t.Context())
	return e.Site()
}

func TestWhichAnswersAreGood(t *testing.T) {
	t.Parallel()
	for how, why := range map[string]string{
		"200": "", "204": "", "301": "", "399": "", "redirects": "", "is endless": "",
		"400": "it answers 400", "404": "it answers 404", "500": "it answers 500", "503": "it answers 503",
		"hangs": "no answer within 200ms", "breaks off": "its answer breaks off", "closes": "EOF", "has an endless header": "header",
	} {
		s := newSite(t, how)
		w := newWatch()
		err := w.ask(t.Context(), Health{URL: s.URL, Timeout: 200 * time.Millisecond})
		if why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
			t.Errorf("a site that %s: %v, want %q", how, err, why)
		}
		if got := s.asked.Load(); got != 1 {
			t.Errorf("a site that %s was asked %d times", how, got)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://op:secret@" + l.Addr().String() + "/?token=secret"
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	w := newWatch()
	if err := w.ask(t.Context(), Health{URL: gone, Timeout: time.Second}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a site that is not there: %v", err)
	}
}

func TestThreeBadAnswersStopAdmissionAndTwoGoodOnesLetItGoOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, "200")
	e := watched(t, s)
	fans := e.crowd(30)
	stream := e.park(fans[29], 0)
	if e.check().Unwell {
		t.Fatal("a site that is well is not")
	}
	e.until("somebody is admitted", func(v *View) bool { return v.AdmittedTotal >= 1 })

	for i, step := range []struct {
		how    string
		unwell bool
	}{
		{"500", false}, {"500", false}, {"200", false}, {"500", false}, {"hangs", false}, {"503", true}, // three in a row
		{"200", true}, {"500", true}, {"200", true}, // one good answer is not enough
	} {
		s.how.Store(step.how)
		if got := e.check(); got.Unwell != step.unwell {
			t.Fatalf("step %d: after a site that answers %s: %+v", i+1, step.how, got)
		}
		if step.unwell {
			e.tick(t.Context()) // tells what the one before did, should its answer have been lost
			before := e.View().AdmittedTotal
			for range 4 {
				e.tick(t.Context())
			}
			if v := e.View(); v.AdmittedTotal != before || v.State != Open || v.message() != messageUnwell {
				t.Fatalf("step %d: state %s, message %q, admitted %d after %d", i+1, v.State, v.message(), v.AdmittedTotal, before)
			}
			if _, _, known := e.View().ETA(5); known {
				t.Fatalf("step %d: a time is promised while nobody is let in", i+1)
			}
		} else {
			e.tick(t.Context())
		}
	}
	if got := stream.event("message"); !strings.Contains(got, "The ticket site needs a moment.") {
		t.Errorf("fans read %s", got)
	}
	if e.check().Unwell {
		t.Fatal("two good answers in a row do not make it well")
	}
	for !strings.Contains(stream.event("message"), `"message":""`) { // a change is repeated for two seconds
	}
	e.until("everybody is admitted, by itself", func(v *View) bool { return v.AdmittedTotal == 30 })
}

func TestTheFirstAnswerCountsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "503")
	e := watched(t, s)
	e.checkHealth(t.Context())
	if got := e.Site(); !got.Watched || !got.Unwell || got.Why != "it answers 503" || !got.Since.Equal(e.clock.Now()) {
		t.Errorf("an edge that starts into an outage admits: %+v", got)
	}
	e.crowd(1)
	for range 4 {
		e.tick(t.Context())
	}
	if got := e.View().AdmittedTotal; got != 0 {
		t.Errorf("%d admitted", got)
	}
}

func TestAQuestionIsAskedOnlyWhenItIsDue(t *testing.T) {
	t.Parallel()
	s := newSite(t, "200")
	e := watched(t, s)
	for range 10 {
		e.checkHealth(t.Context())
	}
	e.clock.Advance(DefaultHealthEvery - 1)
	e.checkHealth(t.Context())
	if got := s.asked.Load(); got != 1 {
		t.Errorf("asked %d times", got)
	}
	e.clock.Advance(1)
	e.checkHealth(t.Context())
	if got := s.asked.Load(); got != 2 {
		t.Errorf("asked %d times", got)
	}
}

func TestAReloadWatchesAnotherSiteAnewAndNoneIsWell(t *testing.T) {
	t.Parallel()
	bad, good := newSite(t, "500"), newSite(t, "200")
	e := watched(t, bad)
	e.checkHealth(t.Context())
	e.tick(t.Context())
	if !e.View().Unwell {
		t.Fatal("a bad site is well")
	}
	cfg := e.Config()
	cfg.Health.Fails = 5
	e.Apply(cfg)
	e.checkHealth(t.Context())
	e.tick(t.Context())
	if !e.View().Unwell {
		t.Error("a changed number made the site well")
	}
	cfg.Health.URL = good.URL
	e.Apply(cfg)
	e.checkHealth(t.Context())
	e.tick(t.Context())
	if e.View().Unwell {
		t.Error("the new site is judged by the old one's answers")
	}
	cfg.Health.URL = bad.URL
	e.Apply(cfg)
	e.checkHealth(t.Context())
	e.tick(t.Context())
	cfg.Health = Health{}
	e.Apply(cfg)
	e.checkHealth(t.Context())
	e.tick(t.Context())
	if got := e.Site(); got.Watched || got.Unwell || e.View().Unwell {
		t.Errorf("a site that is not watched is %+v", got)
	}
}

// One edge with a broken line does not stop a sale; half of them do.
func TestAdmissionStopsWhenHalfOfTheEdgesFindTheSiteUnwell(t *testing.T) {
	t.Parallel()
	server := devstack.Redis(t)
	good, bad := newSite(t, "200"), newSite(t, "503")
	at := func(s *site) Config {
		cfg := usual()
		cfg.Health = Health{URL: s.URL}
		return cfg
	}
	edges := []*edge{newEdge(t, server, at(bad)), newEdge(t, server, at(good)), newEdge(t, server, at(good))}
	round := func() {
		for _, e := range edges {
			e.checkHealth(t.Context())
			e.tick(t.Context())
		}
		for _, e := range edges { // each knows what the last has said
			e.tick(t.Context())
		}
	}
	round()
	edges[0].crowd(50)
	before := edges[0].View().AdmittedTotal
	round()
	for i, e := range edges {
		if v := e.View(); v.Unwell || v.message() != "" || v.Edges != 3 || v.EdgesUnwell != 1 || v.AdmittedTotal <= before {
			t.Errorf("edge %d: one of three stops the sale: %d of %d unwell, admitted %d, message %q", i, v.EdgesUnwell, v.Edges, v.AdmittedTotal, v.message())
		}
	}
	edges[1].Apply(at(bad))
	round()
	before = edges[0].View().AdmittedTotal
	round()
	for i, e := range edges {
		if v := e.View(); !v.Unwell || v.message() != messageUnwell || v.EdgesUnwell != 2 || v.AdmittedTotal != before {
			t.Errorf("edge %d: two of three do not stop it: %d of %d unwell, admitted %d after %d", i, v.EdgesUnwell, v.Edges, v.AdmittedTotal, before)
		}
	}
}

// What the operator says comes first, and nobody who cannot be let in anyway is told
// about the site.
func TestTheMessageOfAnUnwellSite(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		v    View
		want string
	}{
		"open":             {View{State: Open, Unwell: true}, messageUnwell},
		"an operator says": {View{State: Open, Unwell: true, Message: "Soon."}, "Soon."},
		"Redis is away":    {View{State: Open, Unwell: true, Degraded: true}, messageDegraded},
		"paused":           {View{State: Paused, Unwell: true}, ""},
		"lobby":            {View{State: Lobby, Unwell: true}, ""},
		"well":             {View{State: Open}, ""},
	} {
		if got := tc.v.message(); got != tc.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
