package waitroom

import (
	"errors"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// methodArg reads how those who come are ordered.
func methodArg(d *caddyfile.Dispenser, into *room.Method) error {
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	switch m := room.Method(text); m {
	case room.Lottery, room.Fifo, room.Reject:
		*into = m
		return nil
	}
	return d.Errf("method must be lottery, fifo or reject, not %q", text)
}

// queueArg reads who queues. By itself a room lets people through while it can.
func queueArg(d *caddyfile.Dispenser, all *bool) error {
	var text string
	if !d.AllArgs(&text) {
		return d.ArgErr()
	}
	if text != "all" {
		return d.Errf(`queue must be "all", not %q; without this line people go straight through while there is room`, text)
	}
	*all = true
	return nil
}

// checkMethod refuses what contradicts itself.
func checkMethod(c *room.Config) error {
	switch c.Method {
	case "", room.Fifo:
	case room.Lottery:
		if c.Lobby == 0 {
			return blame("method", errors.New(`method lottery draws those who come in the lobby: add one, such as "lobby 30m", or take the line away`))
		}
	case room.Reject:
		switch {
		case c.Lobby > 0:
			return blame("method", errors.New("method reject gives no places, so nobody can wait in a lobby: take one of the two away"))
		case c.QueueAll:
			return blame("method", errors.New("method reject gives no places, so nobody can queue: take it or queue all away"))
		case c.Queue.Shards > 1:
			return blame("method", errors.New("method reject lets people straight through, which a room that is split cannot: take it or shards away"))
		case c.Queue.MaxQueue > 0:
			return blame("method", errors.New("method reject gives no places, so max_queue bounds nothing: take one of the two away"))
		}
	default:
		return blame("method", errors.New("method must be lottery, fifo or reject"))
	}
	return nil
}
