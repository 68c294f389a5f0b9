package ticketsapp

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
)

// Find is the app of the config that a directive is part of. If the app is there and
// cannot start, its own error is what the operator has to read.
func Find(ctx caddy.Context, directive string) (*App, error) {
	v, err := ctx.AppIfConfigured(Name)
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, fmt.Errorf(`%s needs the app "tickets": add "tickets { redis redis://127.0.0.1:6379/0 }" to the global options (%w)`, directive, err)
	}
	if err != nil {
		return nil, err
	}
	return v.(*App), nil
}
