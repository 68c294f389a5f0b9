package waitroom

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/caddytest"
	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// site is a real Caddy in this process with a ticket site behind it, before a
// real Redis.
type site struct {
	t      testing.TB
	redis  *devstack.RedisServer
	keys   string
	url    string
	behind *behind
}

// behind is the ticket site. It knows nothing of waiting rooms, but for /done,
// which ends the session.
type behind struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request // guarded by mu
}

func newBehind(t testing.TB) *behind {
	b := &behind{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.seen = append(b.seen, r)
		b.mu.Unlock()
		if r.URL.Path == "/done" {
			w.Header().Set("Waitroom-Release", "1")
		}
		_, _ = io.WriteString(w, "the ticket site")
	}))
	t.Cleanup(b.Close)
	return b
}

// last is the latest request that reached the site, and how many did.
func (b *behind) last() (*http.Request, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.seen) == 0 {
		return nil, 0
	}
	return b.seen[len(b.seen)-1], len(b.seen)
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, redis: devstack.Redis(t), keys: t.TempDir(), behind: newBehind(t)}
	caddytest.StopAfter(t)
	return s
}

// start runs a site with one room, arena, whose block has these lines.
func start(t testing.TB, block string) *site {
	t.Helper()
	s := newSite(t)
	s.load(s.arena(block))
	return s
}

// open admits everybody who queues at once, closed nobody before an hour has passed.
const (
	open   = "admit 6000/s\nqueue all"
	closed = "admit 1/h\nqueue all"
)

func (s *site) arena(block string) string { return s.caddyfile("waitroom arena {\n" + block + "\n}") }

// caddyfile is a site with these directives, and the ticket site behind them.
func (s *site) caddyfile(directives string) string {
	return s.server("http://:0", directives+"\nreverse_proxy "+strings.TrimPrefix(s.behind.URL, "http://"))
}

func (s *site) server(address, body string) string {
	return "{\nadmin off\npersist_config off\nauto_https off\ngrace_period 1s\nlog {\nlevel FATAL\n}\nservers {\nprotocols h1 h2 h2c\n}\n" +
		"tickets {\nredis " + s.redis.URL() + "\nkeys " + s.keys + "\n}\n}\n" + address + " {\nbind 127.0.0.1\n" + body + "\n}\n"
}

func (s *site) load(caddyfile string) {
	s.t.Helper()
	caddytest.MustLoad(s.t, caddyfile)
	s.url = caddytest.URL(s.t)
}

func (s *site) app() *ticketsapp.App {
	s.t.Helper()
	return caddytest.App[*ticketsapp.App](s.t, ticketsapp.Name)
}

func (s *site) room() *room.Room {
	s.t.Helper()
	return s.app().Rooms()[0]
}

// until waits for the room to be as wished.
func (s *site) until(what string, holds func(*room.View) bool) {
	s.t.Helper()
	eventually.Holds(s.t, what, func() bool { return holds(s.room().View()) })
}

// metric sums the samples of a metric whose labels are as given.
func (s *site) metric(name string, labels map[string]string) float64 {
	s.t.Helper()
	sum, _ := caddytest.Metric(s.t, "tickets_room_"+name, labels)
	return sum
}

// fan is a browser with its own cookies.
type fan struct {
	s    *site
	http *http.Client
}

func (s *site) fan() *fan { return s.fanOver(&http.Transport{}) }

// fanOverH2 speaks HTTP/2 without TLS.
func (s *site) fanOverH2() *fan {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return s.fanOver(&http.Transport{Protocols: protocols})
}

func (s *site) fanOver(transport *http.Transport) *fan {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &fan{s: s, http: &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}}
}

// cookie is the value of a cookie that the browser has, "" for none.
func (f *fan) cookie(name string) string {
	u, err := url.Parse(f.s.url)
	if err != nil {
		f.s.t.Fatal(err)
	}
	for _, c := range f.http.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (f *fan) setCookie(name, value string) {
	u, err := url.Parse(f.s.url)
	if err != nil {
		f.s.t.Fatal(err)
	}
	f.http.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// place is what the fan's place cookie says.
func (f *fan) place() place.Token {
	f.s.t.Helper()
	tok, err := f.s.app().Places().Open("arena", f.cookie("place-arena"))
	if err != nil {
		f.s.t.Fatalf("the place cookie: %v", err)
	}
	return tok
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	doc
}

// doc has the members that tests look at, of all kinds of answers.
type doc struct {
	Code      string     `json:"code"`
	State     string     `json:"state"`
	Visitor   string     `json:"visitor"`
	Position  int        `json:"position"`
	Ahead     int        `json:"ahead"`
	Waiting   int        `json:"waiting"`
	Chance    string     `json:"chance"`
	Stream    string     `json:"stream"`
	PollAfter int        `json:"pollAfter"`
	Message   string     `json:"message"`
	Location  string     `json:"location"`
	Expires   *time.Time `json:"expires"`
	Tier      string     `json:"tier"`
}

const arena = "/.waitroom/arena/"

func (f *fan) do(method, path string, header map[string]string) reply {
	f.s.t.Helper()
	got, err := f.try(method, path, header)
	if err != nil {
		f.s.t.Fatal(err)
	}
	return got
}

func (f *fan) try(method, path string, header map[string]string) (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), eventually.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, f.s.url+path, nil)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Accept", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
		if k == "Host" {
			req.Host = v
		}
	}
	got, err := caddytest.Ask(f.http, req)
	return replied(got), err
}

func replied(a caddytest.Answer) reply {
	got := reply{status: a.Status, header: a.Header, body: a.Body}
	_ = json.Unmarshal([]byte(a.Body), &got.doc) // not every answer is JSON
	return got
}

func (f *fan) get(path string) reply  { f.s.t.Helper(); return f.do(http.MethodGet, path, nil) }
func (f *fan) post(path string) reply { f.s.t.Helper(); return f.do(http.MethodPost, path, nil) }
func (f *fan) page(path string) reply {
	f.s.t.Helper()
	return f.do(http.MethodGet, path, map[string]string{"Accept": "text/html,*/*;q=0.8"})
}

// form posts what a browser without scripts posts.
func (f *fan) form(path string) reply {
	f.s.t.Helper()
	return f.do(http.MethodPost, path, map[string]string{
		"Accept": "text/html,application/xhtml+xml", "Content-Type": "application/x-www-form-urlencoded",
		"Origin": f.s.url, "Sec-Fetch-Site": "same-origin",
	})
}

// joined has the fan join, for good.
func (f *fan) joined() reply {
	f.s.t.Helper()
	got := f.post(arena + "join")
	if got.status != http.StatusCreated {
		f.s.t.Fatalf("joining: %d %s", got.status, got.body)
	}
	return got
}

// admitted takes the fan to its pass.
func (f *fan) admitted() reply {
	f.s.t.Helper()
	f.joined()
	var got reply
	eventually.Holds(f.s.t, "the turn comes", func() bool {
		got = f.post(arena + "claim")
		return got.Code != "not-yet" && got.Code != "unavailable" // a busy machine's Redis may take longer than the edge waits
	})
	got.is(f.s.t, http.StatusOK, "")
	return got
}

func (r reply) is(t testing.TB, status int, code string) {
	t.Helper()
	if r.status != status || r.Code != code {
		t.Errorf("%d %q, want %d %q: %.300s", r.status, r.Code, status, code, r.body)
	}
}

// reachedSite says whether the answer is the ticket site's.
func (r reply) reachedSite() bool { return r.body == "the ticket site" }

// event is one event of a stream.
type event struct {
	name, id, retry string
	doc
}

// stream is an open stream. Its events come over a channel, which is closed when
// the stream ends.
type stream struct {
	t      testing.TB
	reply  reply
	events chan event
	close  context.CancelFunc
}

func (f *fan) stream(header map[string]string) *stream {
	f.s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f.s.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.s.url+arena+"stream", nil)
	if err != nil {
		f.s.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := f.http.Do(req)
	if err != nil {
		f.s.t.Fatal(err)
	}
	s := &stream{t: f.s.t, reply: reply{status: resp.StatusCode, header: resp.Header}, events: make(chan event, 1000), close: cancel}
	if resp.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		s.reply.body = string(raw)
		_ = json.Unmarshal(raw, &s.reply.doc)
		close(s.events)
		return s
	}
	go s.read(resp.Body)
	return s
}

func (s *stream) read(body io.ReadCloser) {
	defer close(s.events)
	defer func() { _ = body.Close() }()
	var e event
	for lines := bufio.NewScanner(body); lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "":
			if e != (event{}) {
				s.events <- e
			}
			e = event{}
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "retry":
			e.retry = value
		case "data":
			_ = json.Unmarshal([]byte(value), &e.doc)
		}
	}
}

// next waits for an event of a name, passing over others.
func (s *stream) next(name string) event {
	s.t.Helper()
	deadline := time.After(eventually.Patience)
	for {
		select {
		case e, more := <-s.events:
			if !more {
				s.t.Fatalf("the stream ended before %q", name)
			}
			if e.name == name {
				return e
			}
		case <-deadline:
			s.t.Fatalf("no %q within %v", name, eventually.Patience)
		}
	}
}

// ends waits for the end of the stream.
func (s *stream) ends() {
	s.t.Helper()
	deadline := time.After(eventually.Patience)
	for {
		select {
		case _, more := <-s.events:
			if !more {
				return
			}
		case <-deadline:
			s.t.Fatalf("the stream did not end within %v", eventually.Patience)
		}
	}
}

// raw sends bytes over a connection of its own and returns the answer.
func (s *site) raw(text string) reply {
	s.t.Helper()
	return replied(caddytest.Raw(s.t, s.url, text))
}
