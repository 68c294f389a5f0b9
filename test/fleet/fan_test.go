package fleet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// fan is one browser. Its cookies are by host, so they go with it from edge to edge.
type fan struct {
	http    *http.Client
	visitor place.Visitor

	mu       sync.Mutex
	at       string        // the edge of its stream
	position int           // the last it was shown
	message  string        // the operator's
	retries  []string      // what edges that stopped asked it to wait
	odd      []string      // what must not have been
	admitted chan struct{} // closed when it was told
	once     sync.Once
}

// transport is everybody's: fans differ in their cookies.
var transport = &http.Transport{MaxIdleConnsPerHost: 8, ResponseHeaderTimeout: 10 * time.Second}

func newFan(t *testing.T) *fan {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &fan{http: &http.Client{Jar: jar, Transport: transport}, admitted: make(chan struct{})}
}

// status is the part of the status object that the tests look at.
type status struct {
	State    string `json:"state"`
	Visitor  string `json:"visitor"`
	Position int    `json:"position"`
	Message  string `json:"message"`
	Code     string `json:"code"` // of a refusal
}

// ask makes one request at an edge.
func (f *fan) ask(ctx context.Context, method, edge, path string) (code int, s status, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, edge+path, nil)
	if err != nil {
		return 0, s, "", err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "fleet")
	if method != http.MethodGet {
		request.Header.Set("Origin", edge)
	}
	reply, err := f.http.Do(request)
	if err != nil {
		return 0, s, "", err
	}
	defer func() { _ = reply.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(reply.Body, 1<<20))
	_ = json.Unmarshal(text, &s)
	return reply.StatusCode, s, string(text), err
}

// join gives the fan a place, trying again as a page does.
func (f *fan) join(ctx context.Context, edge string) error {
	var last string
	for range 50 {
		code, s, body, err := f.ask(ctx, http.MethodPost, edge, "/.waitroom/"+arena+"/join")
		if err == nil && (code == http.StatusCreated || code == http.StatusOK) {
			f.visitor, err = place.ParseVisitor(s.Visitor)
			return err
		}
		last = fmt.Sprint(code, " ", body, " ", err)
		pause(ctx, 100*time.Millisecond)
	}
	return fmt.Errorf("joining at %s: %s", edge, last)
}

// wait follows streams until the fan is told that its turn has come. A stream
// that ends is opened again at the next edge.
func (f *fan) wait(ctx context.Context, all edges, first int) {
	for i := first; ctx.Err() == nil; i++ {
		if over := f.listen(ctx, all[i%len(all)].fans); over {
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// listen reads one stream, and says whether the waiting is over.
func (f *fan) listen(ctx context.Context, edge string) (over bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, edge+"/.waitroom/"+arena+"/stream", nil)
	if err != nil {
		return false
	}
	request.Header.Set("User-Agent", "fleet")
	f.mu.Lock()
	if f.position > 0 {
		request.Header.Set("Last-Event-ID", strconv.Itoa(f.position))
	}
	f.mu.Unlock()
	reply, err := f.http.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = reply.Body.Close() }()
	if reply.StatusCode != http.StatusOK {
		return false
	}
	f.mu.Lock()
	f.at = edge
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.at = ""
		f.mu.Unlock()
	}()
	var event string
	for lines := bufio.NewScanner(reply.Body); lines.Scan(); {
		field, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(field) {
		case "event":
			event = string(value)
		case "retry":
			f.mu.Lock()
			f.retries = append(f.retries, string(value))
			f.mu.Unlock()
		case "data":
			if f.hear(event, value) {
				return true
			}
		}
	}
	return false
}

func (f *fan) hear(event string, data []byte) (over bool) {
	var s status
	_ = json.Unmarshal(data, &s)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch event {
	case "admitted":
		f.once.Do(func() { close(f.admitted) })
		return true
	case "message":
		f.message = s.Message
	case "position":
		f.message = s.Message
		if f.position > 0 && s.Position > f.position {
			f.odd = append(f.odd, fmt.Sprintf("Q2: the position went up from %d to %d", f.position, s.Position))
		}
		if s.Position > 0 {
			f.position = s.Position
		}
	}
	return false
}

// claim turns the fan's turn into a pass at one edge and shows it to another.
func (f *fan) claim(ctx context.Context, one, another func() string) error {
	var last string
	for range 200 { // while Redis is away, or an edge
		code, s, body, err := f.ask(ctx, http.MethodPost, one(), "/.waitroom/"+arena+"/claim")
		if err == nil && code == http.StatusOK {
			return f.enter(ctx, another)
		}
		last = fmt.Sprint(code, " ", body, " ", err)
		if err == nil && code != http.StatusConflict && code != http.StatusServiceUnavailable {
			return fmt.Errorf("claiming: %s %s", s.Code, last)
		}
		if !pause(ctx, 100*time.Millisecond) {
			break
		}
	}
	return fmt.Errorf("claiming: %s", last)
}

func (f *fan) enter(ctx context.Context, edge func() string) error {
	var last string
	for range 50 {
		code, _, body, err := f.ask(ctx, http.MethodGet, edge(), "/")
		if err == nil {
			if code != http.StatusOK || !strings.Contains(body, "inside "+f.visitor.String()) {
				return fmt.Errorf("with a pass of another edge: %d %s", code, body)
			}
			return nil
		}
		last = err.Error()
		pause(ctx, 100*time.Millisecond)
	}
	return fmt.Errorf("entering: %s", last)
}

// place is where the fan is, as the test may look at it.
func (f *fan) seen() (at string, position int, message string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at, f.position, f.message
}

// pause says whether the time passed before the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
