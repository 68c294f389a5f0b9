// Package imports brings every directive of this module into a Caddy:
//
//	xcaddy build v2.11.9 --with github.com/caddy-tickets/caddy-tickets/caddymodule/imports
//
// It brings no commands: those belong to our own binary.
package imports

import (
	_ "github.com/caddy-tickets/caddy-tickets/caddymodule/botguard"
	_ "github.com/caddy-tickets/caddy-tickets/caddymodule/dashboard"
	_ "github.com/caddy-tickets/caddy-tickets/caddymodule/seatmap"
	_ "github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	_ "github.com/caddy-tickets/caddy-tickets/caddymodule/waitroom"
)
