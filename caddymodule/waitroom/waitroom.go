// Package waitroom is the Caddy directive `waitroom`: a thin adapter between
// HTTP and a room. Whoever has a valid pass goes through; everybody else meets
// the waiting-room page, and the endpoints under /.waitroom/{room}/ let them
// join, watch their position, claim their turn and leave.
//
// What must hold: nobody reaches what is guarded without a valid pass (Q3), and
// a visitor with a pass costs no Redis call.
package waitroom

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func init() { caddy.RegisterModule(new(Handler)) }

// Handler guards what comes after it with one room.
type Handler struct {
	// Room is the room's name. Several handlers may name one room.
	Room string `json:"room"`
	// EndpointsOnly serves the room's own endpoints and guards nothing. The
	// Caddyfile adds one beside a guard that has a matcher.
	EndpointsOnly bool `json:"endpoints_only,omitempty"`
	// Status is that of the waiting-room page; default 200, and 503 of the page that
	// says there is no room (method reject).
	Status int `json:"status,omitempty"`
	// StreamOrigin is where the page opens its stream, such as
	// https://tickets.example.com:8443, an address of the same host that speaks
	// HTTP/1.1 only. Empty means the page's own.
	StreamOrigin string `json:"stream_origin,omitempty"`
	// Bypass lists who needs no pass here.
	Bypass []Bypass `json:"bypass,omitempty"`

	Settings

	app    *ticketsapp.App
	room   *room.Room
	log    *slog.Logger
	paths  paths
	boards *boards
	cross  *http.CrossOriginProtection
}

// CaddyModule implements caddy.Module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.waitroom", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the room. Nothing is dialled.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.log = ctx.Slogger()
	var err error
	if h.app, err = ticketsapp.Find(ctx, "waitroom "+h.Room); err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return fmt.Errorf("waitroom %s: %w", h.Room, err)
	}
	settings, err := h.config(h.Room, h.app.Secret("draw "+h.Room))
	if err != nil {
		return fmt.Errorf("waitroom %s: %w", h.Room, err)
	}
	if h.room, err = h.app.Room(h.Room, settings); err != nil {
		return err
	}
	if settings != nil {
		if err := checkNewLobby(settings, h.room.Config(), h.room.Now()); err != nil {
			return fmt.Errorf("waitroom %s: %w", h.Room, err)
		}
	}
	if err := h.provisionTiers(ctx); err != nil {
		return fmt.Errorf("waitroom %s: %w", h.Room, err)
	}
	for i := range h.Bypass {
		if err := h.Bypass[i].provision(ctx); err != nil {
			return fmt.Errorf("waitroom %s: %w", h.Room, err)
		}
	}
	h.paths, h.boards = newPaths(h.Room), new(boards)
	h.cross = http.NewCrossOriginProtection()
	h.prepare(ctx)
	return nil
}

// check refuses what cannot work, before anything starts.
func (h *Handler) check() error {
	switch h.Status {
	case 0, http.StatusOK, http.StatusAccepted, http.StatusTooManyRequests, http.StatusServiceUnavailable:
	default:
		return blame("status", fmt.Errorf("the page's status must be 200, 202, 429 or 503, not %d", h.Status))
	}
	return checkOrigin(h.StreamOrigin)
}

// connKey finds the raw connection in a request's context.
type connKey struct{}

// prepare makes the server keep each connection where the stream finds it, and
// ask the fans to leave when the process ends. Once per server: every
// registration costs memory for every connection.
func (h *Handler) prepare(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || !h.app.FirstOn("waitroom", server) {
		return
	}
	server.RegisterConnContext(func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	})
	server.RegisterOnShutdown(func() {
		if caddy.Exiting() { // a reload keeps everybody where they are
			h.app.Drain()
		}
	})
}

// ServeHTTP serves the room's endpoints, lets pass-holders through, and shows
// everybody else the page.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	serve, ours := h.paths.endpoint(r.URL.Path)
	if ours {
		dropHeaders(r)
		return serve(h, w, r)
	}
	if h.EndpointsOnly {
		dropHeaders(r)
		return next.ServeHTTP(w, r)
	}
	if name, ok := h.bypassed(r); ok {
		return h.pastQueue(w, r, next, name)
	}
	return h.gate(w, r, next)
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
