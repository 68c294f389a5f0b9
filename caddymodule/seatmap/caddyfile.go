package seatmap

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("seatmap", parseCaddyfile)
	// After waitroom, which lets only those with a pass through, and before whatever
	// proxies the rest of the allocator.
	httpcaddyfile.RegisterDirectiveOrder("seatmap", httpcaddyfile.Before, "handle")
}

func parseCaddyfile(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens:
//
//	seatmap [<matcher>] <allocator-url> [<event>…]
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if !d.Args(&h.Upstream) {
		return d.Err(`seatmap needs the address of the allocator, such as "seatmap http://127.0.0.1:7100"`)
	}
	h.Events = d.RemainingArgs()
	if d.NextBlock(0) {
		return d.Err("seatmap takes no block; events are written behind the address")
	}
	if err := h.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
