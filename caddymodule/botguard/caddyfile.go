package botguard

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("botguard", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("botguard", httpcaddyfile.Before, "basic_auth")
}

func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens:
//
//	botguard [<matcher>] {
//		velocity  join|claim <key> <limit> <window>
//		challenge auto|off
//		wait      <duration>
//		mode      enforce|monitor
//	}
//
// There may be any number of velocity lines, and no block at all.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if d.NextArg() {
		return d.Errf(`unexpected %q: botguard takes a block, such as "botguard { velocity join {botguard.prefix} 30 1m }"`, d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		option := d.Val()
		if seen[option] && option != "velocity" {
			return d.Errf("%s is set twice", option)
		}
		seen[option] = true
		if err := h.option(d, option); err != nil {
			return err
		}
	}
	return nil
}

// option reads one line of the block and checks it at once, so that the error
// names its line.
func (h *Handler) option(d *caddyfile.Dispenser, name string) error {
	switch name {
	case "velocity":
		v, err := velocityLine(d)
		if err != nil {
			return err
		}
		h.Velocity = append(h.Velocity, v)
	case "challenge":
		if !d.AllArgs(&h.Challenge) {
			return d.Err("challenge must be auto or off")
		}
	case "wait":
		var text string
		if !d.AllArgs(&text) {
			return d.Err(`wait needs a time, such as "wait 5s"`)
		}
		t, err := caddy.ParseDuration(text)
		if err != nil || t <= 0 {
			return d.Errf("wait must be whole seconds such as 5s, not %q", text)
		}
		h.Wait = caddy.Duration(t)
	case "mode":
		if !d.AllArgs(&h.Mode) {
			return d.Err("mode must be enforce or monitor")
		}
	default:
		return d.Errf("unrecognized subdirective %q: botguard knows velocity, challenge, wait and mode", name)
	}
	if err := h.check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func velocityLine(d *caddyfile.Dispenser) (Velocity, error) {
	var v Velocity
	var limit, window string
	if !d.AllArgs(&v.Action, &v.Key, &limit, &window) {
		return v, d.Err(`velocity needs an action, a key, a limit and a window, such as "velocity join {botguard.prefix} 30 1m"`)
	}
	var err error
	if v.Limit, err = strconv.Atoi(limit); err != nil {
		return v, d.Errf("the limit must be a whole number, not %q: velocity join {botguard.prefix} 30 1m", limit)
	}
	t, err := caddy.ParseDuration(window)
	if err != nil {
		return v, d.Errf("the window must be a time such as 10s, 1m or 1h, not %q", window)
	}
	v.Window = caddy.Duration(t)
	return v, nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
