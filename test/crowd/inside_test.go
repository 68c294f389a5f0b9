package crowd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// site is what is behind the edges. It says who is there.
func site(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, "inside ", r.Header.Get("Waitroom-Visitor"))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// person is a fan of whom each answer is looked at.
type person struct {
	t    *testing.T
	http *http.Client
	edge string
}

func newPerson(t *testing.T, e *edge) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, http: &http.Client{Jar: jar, Timeout: callTimeout * time.Second}, edge: "http://" + e.address}
}

// ask makes one request and returns the answer's status and text.
func (p *person) ask(method, path string) (int, string, error) {
	request, err := http.NewRequestWithContext(context.WithoutCancel(p.t.Context()), method, p.edge+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "crowd")
	if method == http.MethodPost {
		request.Header.Set("Origin", p.edge)
	}
	reply, err := p.http.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = reply.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	return reply.StatusCode, string(text), err
}

// act is ask at one of the room's own addresses.
func (p *person) act(method, what string) (int, string, error) {
	return p.ask(method, "/.waitroom/"+arena+"/"+what)
}

// place is what the person's cookie says, and the cookie.
func (p *person) place() (place.Visitor, place.Score, *http.Cookie) {
	p.t.Helper()
	at, err := url.Parse(p.edge)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range p.http.Jar.Cookies(at) {
		if c.Name == placeCookie {
			v, score, err := readCookie(c.Name + "=" + c.Value)
			if err != nil {
				p.t.Fatal(err)
			}
			return v, score, c
		}
	}
	p.t.Fatal("a person has no place cookie")
	return place.Visitor{}, 0, nil
}

// goIn joins, waits for the turn and claims it.
func (p *person) goIn() {
	p.t.Helper()
	eventually.Within(p.t, patience, "a person joins", func() bool {
		code, _, err := p.act(http.MethodPost, "join")
		return err == nil && code < 300
	})
	eventually.Within(p.t, patience, "a person is let in", func() bool {
		code, _, err := p.act(http.MethodPost, "claim")
		return err == nil && code == http.StatusOK
	})
}

// insiders are people with passes who use the site all the time.
type insiders struct {
	mu    sync.Mutex
	asked int      // guarded by mu, as is what follows
	again int      // requests that were sent a second time
	odd   []string // answers that were none of the site
	stop  func()
}

const lookEvery = 50 * time.Millisecond

// enter brings people in and lets them look around until they are stopped.
func enter(t *testing.T, people int, e *edge) *insiders {
	t.Helper()
	in := &insiders{}
	ctx, cancel := context.WithCancel(context.Background())
	var looking sync.WaitGroup
	in.stop = sync.OnceFunc(func() { cancel(); looking.Wait() })
	t.Cleanup(in.stop)
	for range people {
		p := newPerson(t, e)
		p.goIn()
		v, _, _ := p.place()
		looking.Go(func() {
			for ticker := time.NewTicker(lookEvery); ctx.Err() == nil; {
				code, text, err := p.ask(http.MethodGet, "/")
				// While a server reloads, a connection may be closed under a request
				// that was not read. Whoever browses never sees that: it is sent again.
				again := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
				if again {
					code, text, err = p.ask(http.MethodGet, "/")
				}
				in.took(v, again, code, text, err)
				select {
				case <-ctx.Done():
					ticker.Stop()
				case <-ticker.C:
				}
			}
		})
	}
	return in
}

func (in *insiders) took(v place.Visitor, again bool, code int, text string, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.asked++
	if again {
		in.again++
	}
	if err != nil || code != http.StatusOK || !strings.Contains(text, "inside "+v.String()) {
		in.odd = append(in.odd, fmt.Sprint(code, " ", text, " ", err))
	}
}

// content says that no request with a pass failed, and how many there were. Only where
// an edge reloads may some have been sent twice.
func (in *insiders) content(t *testing.T, reloads bool) (asked, again int) {
	t.Helper()
	in.stop()
	in.mu.Lock()
	defer in.mu.Unlock()
	if n := len(in.odd); n > 0 {
		t.Errorf("%d of %d requests with a pass failed, such as: %s", n, in.asked, in.odd[0])
	}
	if in.again > 0 && !reloads {
		t.Errorf("%d of %d requests with a pass had to be sent twice", in.again, in.asked)
	}
	return in.asked, in.again
}
