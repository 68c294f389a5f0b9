// Package httpapi is the allocator's surface: JSON over HTTP under /v1, and the
// same under /api/v1 for a proxy that passes paths on as they are.
//
// What must hold: every request but for the public map proves itself with a pass,
// whatever a proxy says about it; every POST has an idempotency key; everything a
// client sends has a limit; and every refusal is a problem document whose code
// says what to do. A 5xx never means "not booked": ask again with the same key.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/livemap"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

// Deps are what the surface works with. All are required.
type Deps struct {
	Sale        *sale.Sale
	Maps        *livemap.Maps
	Idempotency allocator.Idempotency
	Passes      *pass.Verifier
	Provider    string // name in the webhook's address
	Clock       clock.Clock
	Log         *slog.Logger
	Metrics     *prometheus.Registry // shown at /metrics; requests are counted in it
	// Ready says which server is missing, nil when all answer.
	Ready func(ctx context.Context) error
}

// api answers requests. Safe for concurrent use.
type api struct {
	Deps
	seconds *prometheus.HistogramVec
}

// New returns the handler of the whole surface.
func New(d Deps) http.Handler {
	a := &api{d, newRequestSeconds()}
	d.Metrics.MustRegister(a.seconds)
	v1 := http.NewServeMux()
	d.Maps.Mount(v1, "/v1")
	for _, r := range []struct {
		pattern, name string
		serve         http.HandlerFunc
	}{
		{"GET /v1/events/{event}", "event", a.getEvent},
		{"POST /v1/events/{event}/holds", "hold", a.postHold},
		{"GET /v1/holds/{hold}", "see-hold", a.getHold},
		{"DELETE /v1/holds/{hold}", "release", a.deleteHold},
		{"POST /v1/holds/{hold}/checkout", "checkout", a.postCheckout},
		{"GET /v1/bookings/{booking}", "booking", a.getBooking},
		{"POST /v1/psp/{provider}/webhook", "webhook", a.postWebhook},
	} {
		v1.HandleFunc(r.pattern, a.timed(r.name, r.serve))
	}
	v1.HandleFunc("/", a.nothing)

	root := http.NewServeMux()
	root.Handle("/v1/", v1)
	root.Handle("/api/v1/", http.StripPrefix("/api", v1))
	root.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	root.HandleFunc("GET /readyz", a.getReady)
	root.Handle("GET /metrics", promhttp.HandlerFor(d.Metrics, promhttp.HandlerOpts{}))
	root.HandleFunc("/", a.nothing)
	return a.guarded(root)
}

// guarded answers what nobody expected with a problem instead of a torn connection.
func (a *api) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(cause)
			}
			a.Log.Error("a request ended in a panic", "method", r.Method, "path", r.URL.Path, "cause", cause, "stack", string(debug.Stack()))
			problem.Write(w, problemInternal)
		}()
		next.ServeHTTP(w, r)
	})
}

// nothing answers paths that do not exist, and existing ones asked the wrong way.
func (a *api) nothing(w http.ResponseWriter, _ *http.Request) { problem.Write(w, problemNotFound) }

func (a *api) getReady(w http.ResponseWriter, r *http.Request) {
	if err := a.Ready(r.Context()); err != nil {
		problem.Write(w, problemNotReady.Because(err.Error()))
		return
	}
	send(w, http.StatusOK, map[string]bool{"ready": true})
}

// holder is the visitor whose pass a request has, for a room. The pass is verified
// here, whoever did so before: a header is only a header.
func (a *api) holder(r *http.Request, room string) (pass.Claims, error) {
	token := r.Header.Get("Waitroom-Pass")
	if token == "" {
		for _, secure := range []bool{true, false} {
			if c, err := r.Cookie(pass.CookieName(room, secure)); err == nil {
				token = c.Value
				break
			}
		}
	}
	if token == "" {
		return pass.Claims{}, pass.ErrMissing
	}
	return a.Passes.Verify(token, room)
}

// hasPass says whether a request comes with any pass at all.
func hasPass(r *http.Request) bool {
	if r.Header.Get("Waitroom-Pass") != "" {
		return true
	}
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, pass.CookieName("", true)) || strings.HasPrefix(c.Name, pass.CookieName("", false)) {
			return true
		}
	}
	return false
}

// holderOf is the same for the event that a hold belongs to.
func (a *api) holderOf(r *http.Request, holdID string) (pass.Claims, error) {
	slug, ok := sale.SlugOf(holdID)
	if !ok {
		return pass.Claims{}, allocator.ErrHoldUnknown
	}
	e, err := a.Sale.Event(r.Context(), slug)
	if errors.Is(err, allocator.ErrEventUnknown) {
		return pass.Claims{}, allocator.ErrHoldUnknown
	}
	if err != nil {
		return pass.Claims{}, err
	}
	return a.holder(r, e.Room)
}

// refuse answers with the problem that an error is.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := refusal(err)
	if p.Status >= http.StatusInternalServerError {
		a.Log.Warn("a request could not be served", "method", r.Method, "path", r.URL.Path, "code", p.Code, "error", err)
	}
	problem.Write(w, p)
}
