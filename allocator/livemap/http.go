package livemap

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/internal/mapfan"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

// Mount adds the four GET routes below prefix + "/events/{event}/".
func (m *Maps) Mount(mux *http.ServeMux, prefix string) {
	at := "GET " + prefix + "/events/{event}/"
	for name, serve := range map[string]func(http.ResponseWriter, *http.Request, string){
		"availability": m.ServeAvailability, "live": m.ServeLive, "summary": m.ServeSummary,
	} {
		mux.HandleFunc(at+name, func(w http.ResponseWriter, r *http.Request) { serve(w, r, r.PathValue("event")) })
	}
	mux.HandleFunc(at+"{document}", func(w http.ResponseWriter, r *http.Request) {
		hash, found := strings.CutPrefix(r.PathValue("document"), "layout@")
		if !found {
			problem.Write(w, mapfan.ProblemDocument)
			return
		}
		m.ServeLayout(w, r, r.PathValue("event"), hash)
	})
}

// ServeAvailability sends the whole map as one snapshot frame.
func (m *Maps) ServeAvailability(w http.ResponseWriter, r *http.Request, slug string) {
	if f := m.found(w, r, slug); f != nil {
		f.channel.ServeAvailability(w, r)
	}
}

// ServeSummary sends the counts, at most a second old.
func (m *Maps) ServeSummary(w http.ResponseWriter, r *http.Request, slug string) {
	if f := m.found(w, r, slug); f != nil {
		f.channel.ServeSummary(w, r)
	}
}

// ServeLive streams the map over a WebSocket.
func (m *Maps) ServeLive(w http.ResponseWriter, r *http.Request, slug string) {
	if f := m.found(w, r, slug); f != nil {
		m.running.Add(1)
		defer m.running.Done()
		f.channel.ServeLive(w, r, m.deps.Clock)
	}
}

// found finds a feed, or refuses and returns nil.
func (m *Maps) found(w http.ResponseWriter, r *http.Request, slug string) *feed {
	f, err := m.feed(r.Context(), slug)
	if err != nil {
		refuse(w, err)
		return nil
	}
	return f
}

// ServeLayout sends the document that a hash names; it never changes.
func (m *Maps) ServeLayout(w http.ResponseWriter, r *http.Request, slug, hash string) {
	d, err := m.layouts.Get(r.Context(), slug, hash, func(ctx context.Context) ([]byte, error) {
		e, err := m.deps.Catalog.Event(ctx, slug)
		if err != nil {
			return nil, fmt.Errorf("finding event: %w", err)
		}
		if hash != e.LayoutHash {
			return nil, mapfan.ErrNoDocument
		}
		plain, err := m.deps.Catalog.Layout(ctx, e.ID, hash)
		if err != nil {
			return nil, fmt.Errorf("reading layout: %w", err)
		}
		return plain, nil
	})
	if err != nil {
		refuse(w, err)
		return
	}
	d.ServeHTTP(w, r)
}

func refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, mapfan.ErrNoDocument):
		problem.Write(w, mapfan.ProblemDocument)
	case errors.Is(err, allocator.ErrEventUnknown):
		problem.Write(w, mapfan.ProblemEvent)
	default:
		problem.Write(w, mapfan.ProblemUnavailable)
	}
}
