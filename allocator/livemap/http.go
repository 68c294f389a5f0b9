package livemap

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
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
			problem.Write(w, errNotFound)
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

// document is a layout, as it is and compressed once for everybody.
type document struct{ plain, gzipped []byte }

// ServeLayout sends the document that a hash names; it never changes.
func (m *Maps) ServeLayout(w http.ResponseWriter, r *http.Request, slug, hash string) {
	d, err := m.layout(r.Context(), slug, hash)
	if err != nil {
		refuse(w, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body := d.plain
	// An own ETag for each encoding, or a cache could mix them.
	h.Set("ETag", `"`+hash+`"`)
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = d.gzipped
		h.Set("Content-Encoding", "gzip")
		h.Set("ETag", `"`+hash+`-gzip"`)
	}
	if r.Header.Get("If-None-Match") == h.Get("ETag") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// hashLength is that of a hex SHA-256.
const hashLength = 64

func (m *Maps) layout(ctx context.Context, slug, hash string) (*document, error) {
	if len(hash) != hashLength {
		return nil, errNotFound
	}
	key := slug + "@" + hash
	m.mu.Lock()
	d := m.layouts[key]
	m.mu.Unlock()
	if d != nil {
		return d, nil
	}
	e, err := m.deps.Catalog.Event(ctx, slug)
	if err != nil {
		return nil, fmt.Errorf("finding event: %w", err)
	}
	if hash != e.LayoutHash {
		return nil, errNotFound
	}
	plain, err := m.deps.Catalog.Layout(ctx, e.ID, hash)
	if err != nil {
		return nil, fmt.Errorf("reading layout: %w", err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		return nil, fmt.Errorf("compressing layout: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compressing layout: %w", err)
	}
	d = &document{plain: plain, gzipped: b.Bytes()}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.layouts) >= maxLayouts {
		clear(m.layouts) // rare: more events on sale than this; each is read again once
	}
	m.layouts[key] = d
	return d, nil
}

var errNotFound = &problem.Problem{Code: "not-found", Title: "Nothing is here", Status: http.StatusNotFound}

func refuse(w http.ResponseWriter, err error) {
	var p *problem.Problem
	switch {
	case errors.As(err, &p):
	case errors.Is(err, allocator.ErrEventUnknown):
		p = mapfan.ProblemEvent
	default:
		p = mapfan.ProblemUnavailable
	}
	problem.Write(w, p)
}
