package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/pow"
	"github.com/caddy-tickets/caddy-tickets/internal/rehearse"
)

// waiting are fans on their streams.
type waiting struct {
	admitted atomic.Int64
	dropped  atomic.Int64 // streams that ended before the fan's turn
	heard    atomic.Int64 // fans who have heard their position
	done     sync.WaitGroup
}

// join enters one fan, from a network of its own, and returns the client that holds
// its place: joins are limited by network.
func join(t *testing.T, s *stack, i int) *rehearse.Client {
	t.Helper()
	fan := rehearse.NewClient(s.site(t), net.IPv4(127, byte(9+i/250), byte(1+i%250), 1))
	t.Cleanup(fan.Close)
	if _, err := fan.Do(t.Context(), rehearse.Call{Method: http.MethodGet, Path: "/", Accept: "text/html"}, nil); err != nil {
		t.Fatalf("opening the fan page: %v", err)
	}
	call := rehearse.Call{Method: http.MethodPost, Path: "/.waitroom/arena/join", Header: http.Header{}}
	_, err := fan.Do(t.Context(), call, nil)
	if refusal, ok := errors.AsType[*rehearse.Refusal](err); ok && refusal.Challenge != nil {
		answer, err := pow.Solve(t.Context(), refusal.Challenge.Token)
		if err != nil {
			t.Fatal(err)
		}
		call.Header.Set("Botguard-Answer", answer)
		if _, err := fan.Do(t.Context(), call, nil); err != nil {
			t.Fatalf("joining: %v", err)
		}
	} else if err != nil {
		t.Fatalf("joining: %v", err)
	}
	return fan
}

// waitAll parks n fans and returns when each has heard its position.
func waitAll(t *testing.T, s *stack, n int) *waiting {
	t.Helper()
	w := &waiting{}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); w.done.Wait() })
	for i := range n {
		fan := join(t, s, i)
		w.done.Go(func() { w.follow(ctx, fan) })
	}
	eventually.Within(t, time.Minute, "every fan hears its position", func() bool { return w.heard.Load() == int64(n) })
	return w
}

// follow reads one fan's stream once, without reconnecting: a stream that ends
// is a fan that was dropped.
func (w *waiting) follow(ctx context.Context, fan *rehearse.Client) {
	heard, admitted := false, false
	_, _ = fan.Stream(ctx, "/.waitroom/arena/stream", "", func(e rehearse.Event) bool {
		var standing struct{ State string }
		_ = json.Unmarshal(e.Data, &standing)
		if !heard {
			heard = true
			w.heard.Add(1)
		}
		admitted = e.Name == "admitted" || standing.State == "admitted" || standing.State == "active"
		return !admitted
	})
	switch {
	case admitted:
		w.admitted.Add(1)
	case ctx.Err() == nil:
		w.dropped.Add(1)
	}
}
