package hub

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// serve streams over a real server; the result of Stream comes on done.
func (v *venue) serve(t *testing.T, f Fan) (fan *client, leave func(), done chan error) {
	t.Helper()
	done = make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done <- v.Stream(r.Context(), ResponseStream(w), f)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); server.Close() })
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return &client{Conn: noDeadline{}, lines: bufio.NewReader(resp.Body), t: t}, cancel, done
}

// noDeadline stands in for the connection that the http client hides.
type noDeadline struct{ opaque }

func (noDeadline) SetReadDeadline(time.Time) error { return nil }

func TestAStreamIsToldTheSameThingsAtTheSameTimes(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	fan, _, done := v.serve(t, Fan{Visitor: id(1), Score: 9, Shown: 4})
	if got := fan.data(); got != "4" {
		t.Fatal(got)
	}
	v.clock.Advance(DefaultPace)
	fan.data()
	v.sketch.front.Store(9)
	v.Passed(upTo(9))
	if got := fan.data(); got != "admitted" {
		t.Fatal(got)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := v.Stats(); s.Streams != 0 || len(v.gone) != 0 {
		t.Fatalf("%+v, %d gone", s, len(v.gone))
	}
}

func TestAStreamThatItsFanLeavesIsReported(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	fan, leave, done := v.serve(t, Fan{Visitor: id(1), Score: 9})
	fan.data()
	leave()
	<-done
	signal(v.urgent)
	if got := v.left(t); got != id(1) {
		t.Fatal(got)
	}
}

func TestADrainEndsStreamsToo(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	fan, _, done := v.serve(t, Fan{Visitor: id(1), Score: 9})
	fan.data()
	if err := v.Close(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	if _, err := fan.until("retry: "); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestStreamsHaveTheirOwnCap(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{MaxStreams: 1})
	fan, _, _ := v.serve(t, Fan{Visitor: id(1), Score: 9})
	fan.data()
	if err := v.Stream(t.Context(), nil, Fan{Visitor: id(2), Score: 9}); err != ErrFull {
		t.Fatal(err)
	}
	v.enter(t, Fan{Visitor: id(3), Score: 9}) // parking goes on
}
