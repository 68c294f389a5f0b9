package waitroom

import (
	"fmt"
	"reflect"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// written is where a Caddyfile sets a room, and how.
type written struct {
	config *room.Config
	at     caddyfile.Token
}

// setOnce refuses a second place that sets a room otherwise than the first: nobody could
// say which is meant. The app refuses it as well, for configs that are no Caddyfile; only
// here are the lines known.
func setOnce(h httpcaddyfile.Helper, handler *Handler, at caddyfile.Token) error {
	config, err := handler.config(handler.Room, nil)
	if err != nil || config == nil {
		return err // a handler that only names the room sets nothing
	}
	key := "waitroom " + handler.Room
	first, ok := h.State[key].(written)
	if !ok {
		h.State[key] = written{config, at}
		return nil
	}
	if reflect.DeepEqual(first.config, config) {
		return nil
	}
	return fmt.Errorf("waitroom %[1]s is set here and at %[2]s:%[3]d, and differently: keep the settings at one and write only \"waitroom %[1]s\" at the other, at %[4]s:%[5]d",
		handler.Room, first.at.File, first.at.Line, at.File, at.Line)
}
