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
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
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

// ServeAvailability sends the whole map as one snapshot frame. A cache in front
// makes it one request a second, whatever the number of viewers.
func (m *Maps) ServeAvailability(w http.ResponseWriter, r *http.Request, slug string) {
	f, err := m.feed(r.Context(), slug)
	if err != nil {
		refuse(w, err)
		return
	}
	frame, at := f.current()
	h := w.Header()
	h.Set("Content-Type", mapframe.ContentType)
	h.Set("Cache-Control", "public, max-age=0, s-maxage=1")
	h.Set("ETag", `"`+at.String()+`"`)
	// ServeContent answers If-None-Match and HEAD.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(frame))
}

// ServeSummary sends the counts, at most a second old.
func (m *Maps) ServeSummary(w http.ResponseWriter, r *http.Request, slug string) {
	f, err := m.feed(r.Context(), slug)
	if err != nil {
		refuse(w, err)
		return
	}
	f.mu.Lock()
	document := f.summary
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=0, s-maxage=1")
	_, _ = w.Write(document)
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

var (
	errNotFound    = &problem.Problem{Code: "not-found", Title: "Nothing is here", Status: http.StatusNotFound}
	errNoEvent     = &problem.Problem{Code: "event-unknown", Title: "There is no such event", Status: http.StatusNotFound}
	errBadVersion  = &problem.Problem{Code: "version-malformed", Title: "That is no version of a map", Status: http.StatusBadRequest, Detail: "Write from=epoch.ver, as in an ETag of availability, or leave it out."}
	errUnavailable = &problem.Problem{Code: "map-unavailable", Title: "The map cannot be shown right now", Status: http.StatusServiceUnavailable, Detail: "Seats that are held or booked are safe. Try again in a moment.", RetryAfter: 2 * time.Second}
	errFull        = &problem.Problem{Code: "too-many-viewers", Title: "Too many people watch this map", Status: http.StatusServiceUnavailable, Detail: "Read the availability every few seconds instead.", RetryAfter: 5 * time.Second}
)

func refuse(w http.ResponseWriter, err error) {
	var p *problem.Problem
	switch {
	case errors.As(err, &p):
	case errors.Is(err, allocator.ErrEventUnknown):
		p = errNoEvent
	default:
		p = errUnavailable
	}
	problem.Write(w, p)
}

func tooManyViewers(w http.ResponseWriter) { problem.Write(w, errFull) }

// resumeFrom reads the version a client has, nil without one.
func resumeFrom(w http.ResponseWriter, r *http.Request) (*mapframe.Version, bool) {
	s := r.URL.Query().Get("from")
	if s == "" {
		return nil, true
	}
	v, err := mapframe.ParseVersion(s)
	if err != nil {
		problem.Write(w, errBadVersion)
		return nil, false
	}
	return &v, true
}
