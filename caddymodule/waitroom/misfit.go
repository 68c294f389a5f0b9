package waitroom

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// misfit is a mistake that only several options together make, with the one at whose
// line it is best mended.
type misfit struct {
	option string
	error
}

func (m *misfit) Unwrap() error { return m.error }

func blame(option string, err error) error { return &misfit{option, err} }

// where are the lines on which options stand.
type where map[string]caddyfile.Token

// name adds to an error where it is to be mended: at the option to blame if that is
// written, else at the end of the block.
func (w where) name(d *caddyfile.Dispenser, err error) error {
	if m, ok := errors.AsType[*misfit](err); ok {
		if at, written := w[m.option]; written {
			return fmt.Errorf("%w, at %s:%d", err, at.File, at.Line)
		}
	}
	return wrap(d, err)
}
