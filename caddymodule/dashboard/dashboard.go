// Package dashboard is the Caddy directive `tickets_dashboard`: a page and its
// numbers for the operator. It shows how a sale stands and can change nothing, but
// it is still nobody else's business: put it on a site that only operators reach.
package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	page "github.com/caddy-tickets/caddy-tickets/web/dashboard"
)

func init() {
	caddy.RegisterModule(new(Handler))
	httpcaddyfile.RegisterHandlerDirective("tickets_dashboard", parseCaddyfile)
	// Behind whatever asks for a password.
	httpcaddyfile.RegisterDirectiveOrder("tickets_dashboard", httpcaddyfile.Before, "respond")
}

// numbers is what the page asks for each second, beside itself.
const numbers = "rooms.json"

// Handler serves the page at /, and its numbers at /rooms.json. Everything else is
// left to who comes next.
type Handler struct{ app *ticketsapp.App }

// CaddyModule implements caddy.Module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.tickets_dashboard", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the app.
func (h *Handler) Provision(ctx caddy.Context) error {
	var err error
	h.app, err = ticketsapp.Find(ctx, "tickets_dashboard")
	return err
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens:
//
//	tickets_dashboard [<matcher>]
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if d.NextArg() || d.NextBlock(0) {
		return d.Err("tickets_dashboard takes no arguments and no block")
	}
	return nil
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	what := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:] // so that the page works below any folder
	if what != "" && what != numbers {
		return next.ServeHTTP(w, r)
	}
	header := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		return caddyhttp.Error(http.StatusMethodNotAllowed, nil)
	}
	body := page.Page
	if what == numbers {
		var err error
		if body, err = h.rooms(); err != nil {
			return err
		}
		header.Set("Content-Type", "application/json")
	} else {
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", page.CSP)
		header.Set("Referrer-Policy", "no-referrer")
	}
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone if this fails
	}
	return nil
}

// rooms is how the rooms of this edge stand, as the admin endpoint tells it.
func (h *Handler) rooms() ([]byte, error) {
	reports := []ticketsapp.Report{}
	for _, one := range h.app.Rooms() {
		reports = append(reports, ticketsapp.ReportOn(one))
	}
	body, err := json.Marshal(reports)
	if err != nil {
		return nil, fmt.Errorf("writing the rooms: %w", err)
	}
	return body, nil
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
