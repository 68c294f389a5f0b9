// Package seatmap is the Caddy directive `seatmap`: it shows the live seat map to all
// viewers of this edge over one connection to the allocator for each event. Ten
// thousand viewers, or pollers, cost the allocator the same as one.
//
// It answers what would be asked of the allocator most: the live stream, the whole
// map, the summary and the layout. Everything else goes on to the next handler. What
// it does is in internal/mapfan; here are Caddy's side of it and the paths.
package seatmap

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/mapfan"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// prefix is where the allocator's surface is on a guarded site.
const prefix = "/api/v1/events/"

// followers outlive configs: a reload parts nobody from the map. They are found by
// the allocator's address.
var followers = caddy.NewUsagePool()

// shared is the entry of the pool.
type shared struct{ *mapfan.Followers }

// Destruct implements caddy.Destructor: no config shows this allocator's maps any more.
func (s shared) Destruct() error {
	s.Close()
	return nil
}

// Handler shows the maps of one allocator.
type Handler struct {
	// Upstream is the allocator's base URL, such as http://127.0.0.1:7100.
	Upstream string `json:"upstream"`

	// Events are the events whose maps are shown; none means every event that the
	// allocator knows. With them, requests for other names never leave the edge.
	Events []string `json:"events,omitempty"`

	maps     shared
	acquired bool
}

// CaddyModule implements caddy.Module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.seatmap", New: func() caddy.Module { return new(Handler) }}
}

// Provision takes hold of the followers. Nothing is dialled.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.Upstream = strings.TrimSuffix(h.Upstream, "/")
	if err := h.check(); err != nil {
		return fmt.Errorf("seatmap: %w", err)
	}
	log := slog.New(ctx.Slogger().Handler()) // outlives this config's context, not its output
	v, _, err := followers.LoadOrNew(h.Upstream, func() (caddy.Destructor, error) {
		return shared{mapfan.Follow(h.Upstream, mapfan.Limits{}, clock.System(), log)}, nil
	})
	if err != nil {
		return fmt.Errorf("seatmap: %w", err)
	}
	h.maps, h.acquired = v.(shared), true
	return register(ctx.GetMetricsRegistry(), h.Upstream, h.maps.Followers)
}

// Cleanup gives the followers back. It also runs after a failed Provision.
func (h *Handler) Cleanup() error {
	if !h.acquired {
		return nil
	}
	_, err := followers.Delete(h.Upstream)
	return err
}

// check says what is wrong with the settings.
func (h *Handler) check() error {
	u, err := url.Parse(h.Upstream)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%q is not the address of an allocator: write one such as http://127.0.0.1:7100", h.Upstream)
	}
	for _, event := range h.Events {
		if rediskey.CheckName(event) != nil {
			return fmt.Errorf("%q is no event: a name has 1 to %d lower-case letters, digits and inner hyphens", event, rediskey.MaxName)
		}
	}
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	event, what, ok := h.target(r)
	if !ok {
		return next.ServeHTTP(w, r)
	}
	if hash, is := strings.CutPrefix(what, "layout@"); is {
		d, err := h.maps.Layout(r.Context(), event, hash)
		if err != nil {
			refuse(w, err)
			return nil
		}
		d.ServeHTTP(w, r)
		return nil
	}
	channel, err := h.maps.Channel(r.Context(), event)
	if err != nil {
		refuse(w, err)
		return nil
	}
	switch what {
	case "live":
		unhurried(w)
		channel.ServeLive(w, r, clock.System())
	case "availability":
		channel.ServeAvailability(w, r)
	case "summary":
		channel.ServeSummary(w, r)
	}
	return nil
}

func refuse(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, mapfan.ErrUnknown):
		problem.Write(w, mapfan.ProblemEvent)
	case errors.Is(err, mapfan.ErrNoDocument):
		problem.Write(w, mapfan.ProblemDocument)
	default:
		problem.Write(w, mapfan.ProblemUnavailable)
	}
}

// unhurried takes the server's own deadlines off a stream; the channel sets one for
// each write.
func unhurried(w http.ResponseWriter) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // a writer without deadlines has none to take off
	_ = rc.SetWriteDeadline(time.Time{})
}

// target says which event's map a request is about: GET /api/v1/events/{event}/{what}.
func (h *Handler) target(r *http.Request) (event, what string, ok bool) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", "", false
	}
	rest, ok := strings.CutPrefix(r.URL.Path, prefix)
	if !ok {
		return "", "", false
	}
	event, what, ok = strings.Cut(rest, "/")
	if !ok || rediskey.CheckName(event) != nil || len(h.Events) > 0 && !slices.Contains(h.Events, event) {
		return "", "", false
	}
	switch what {
	case "live", "availability", "summary":
		return event, what, true
	}
	return event, what, strings.HasPrefix(what, "layout@")
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
