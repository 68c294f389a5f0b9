package ticketsapp

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-tickets/caddy-tickets/internal/redisconn"
)

func init() { httpcaddyfile.RegisterGlobalOption(Name, parseGlobalOption) }

// keysDefault says that keys are kept in Caddy's own storage.
const keysDefault = "default"

// parseGlobalOption reads the tickets block of the global options:
//
//	tickets {
//		redis <url>
//		keys  default|<folder>
//	}
func parseGlobalOption(d *caddyfile.Dispenser, before any) (any, error) {
	if before != nil {
		d.Next() // so that the error has its line
		return nil, d.Err("there is another tickets block already: put everything into one")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: Name, Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens; parseGlobalOption
// shows the syntax.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		switch option := d.Val(); option {
		case "redis":
			if a.RedisURL != "" {
				return d.Err("redis is set twice")
			}
			if !d.AllArgs(&a.RedisURL) {
				return d.ArgErr()
			}
			if strings.Contains(a.RedisURL, "{") {
				continue // a placeholder; looked at when the config starts
			}
			if _, err := redisconn.Parse(a.RedisURL); err != nil {
				return d.WrapErr(fmt.Errorf("redis: %w", err))
			}
		case "keys":
			if !d.AllArgs(&a.KeyFolder) {
				return d.ArgErr()
			}
			if a.KeyFolder == keysDefault {
				a.KeyFolder = ""
			}
		default:
			return d.Errf("unrecognized subdirective %q: tickets knows redis and keys", option)
		}
	}
	if a.RedisURL == "" {
		return d.Err(`tickets needs a line such as "redis redis://127.0.0.1:6379/0"`)
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*App)(nil)
