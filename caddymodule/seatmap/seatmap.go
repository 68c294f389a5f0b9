// Package seatmap is the Caddy directive `seatmap`: it shows the live seat map to all
// viewers of this edge over one connection to the allocator for each event. Ten
// thousand viewers, or pollers, cost the allocator the same as one.
//
// It answers what would be asked of the allocator most: the live stream, the whole
// map and the summary. Everything else goes on to the next handler.
package seatmap

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/mapfan"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

func init() {
	caddy.RegisterModule(new(Handler))
	httpcaddyfile.RegisterHandlerDirective("seatmap", parseCaddyfile)
	// After waitroom, which lets only those with a pass through, and before whatever
	// proxies the rest of the allocator.
	httpcaddyfile.RegisterDirectiveOrder("seatmap", httpcaddyfile.Before, "handle")
}

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

	maps     shared
	acquired bool
}

// CaddyModule implements caddy.Module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.seatmap", New: func() caddy.Module { return new(Handler) }}
}

// Provision takes hold of the followers. Nothing is dialled.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := checkUpstream(h.Upstream); err != nil {
		return err
	}
	log := slog.New(ctx.Slogger().Handler()) // outlives this config's context, not its output
	v, _, err := followers.LoadOrNew(h.Upstream, func() (caddy.Destructor, error) {
		return shared{mapfan.Follow(h.Upstream, clock.System(), log)}, nil
	})
	if err != nil {
		return fmt.Errorf("seatmap: %w", err)
	}
	h.maps, h.acquired = v.(shared), true
	return h.register(ctx.GetMetricsRegistry())
}

// register shows how many watch. Several handlers of one allocator count once.
func (h *Handler) register(r *prometheus.Registry) error {
	labels := prometheus.Labels{"upstream": h.Upstream}
	for _, gauge := range []prometheus.GaugeFunc{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tickets_seatmap_viewers", Help: "Open streams of live maps at this edge.", ConstLabels: labels,
		}, func() float64 { viewers, _ := h.maps.Viewers(); return float64(viewers) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tickets_seatmap_events", Help: "Events whose map this edge follows.", ConstLabels: labels,
		}, func() float64 { _, events := h.maps.Viewers(); return float64(events) }),
	} {
		var known prometheus.AlreadyRegisteredError
		if err := r.Register(gauge); err != nil && !errors.As(err, &known) {
			return fmt.Errorf("seatmap: registering metrics: %w", err)
		}
	}
	return nil
}

// Cleanup gives the followers back. It also runs after a failed Provision.
func (h *Handler) Cleanup() error {
	if !h.acquired {
		return nil
	}
	_, err := followers.Delete(h.Upstream)
	return err
}

func checkUpstream(address string) error {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return fmt.Errorf("seatmap: %q is not the address of an allocator: write one such as http://127.0.0.1:7100", address)
	}
	return nil
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens:
//
//	seatmap [<matcher>] <allocator-url>
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if !d.AllArgs(&h.Upstream) {
		return d.Err(`seatmap needs the address of the allocator, such as "seatmap http://127.0.0.1:7100"`)
	}
	if d.NextBlock(0) {
		return d.Err("seatmap takes no block")
	}
	if strings.Contains(h.Upstream, "{") {
		return nil // a placeholder; looked at when the config starts
	}
	if err := checkUpstream(h.Upstream); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	event, what, ok := target(r)
	if !ok {
		return next.ServeHTTP(w, r)
	}
	channel, err := h.maps.Channel(r.Context(), event)
	switch {
	case errors.Is(err, mapfan.ErrUnknown):
		problem.Write(w, mapfan.ProblemEvent)
		return nil
	case err != nil:
		problem.Write(w, mapfan.ProblemUnavailable)
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

// unhurried takes the server's own deadlines off a stream; the channel sets one for
// each write.
func unhurried(w http.ResponseWriter) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // a writer without deadlines has none to take off
	_ = rc.SetWriteDeadline(time.Time{})
}

// target says which event's map a request is about: GET [/api]/v1/events/{event}/{what}.
func target(r *http.Request) (event, what string, ok bool) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", "", false
	}
	rest, ok := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, "/api"), "/v1/events/")
	if !ok {
		return "", "", false
	}
	event, what, ok = strings.Cut(rest, "/")
	if !ok || rediskey.CheckName(event) != nil {
		return "", "", false
	}
	switch what {
	case "live", "availability", "summary":
		return event, what, true
	}
	return "", "", false
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
