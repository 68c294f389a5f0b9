package waitroom

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// sessionArg reads "10m", or "10m sliding 1h".
func sessionArg(d *caddyfile.Dispenser, life, longest *caddy.Duration) error {
	words := d.RemainingArgs()
	switch {
	case len(words) == 1:
	case len(words) == 3 && words[1] == "sliding":
		if err := duration(d, "session sliding", words[2], longest); err != nil {
			return err
		}
	default:
		return d.Err(`session is a time, such as "session 10m", or one that use prolongs up to another, such as "session 10m sliding 1h"`)
	}
	return duration(d, "session", words[0], life)
}

// checkSession refuses a session that no pass can last: every claim would fail.
func checkSession(session time.Duration) error {
	if session > pass.MaxLife {
		return blame("session", fmt.Errorf("session must be %v or less, not %v: a pass lasts no longer", pass.MaxLife, session))
	}
	return nil
}

// checkSliding refuses a longest session that is none.
func checkSliding(c *room.Config) error {
	switch {
	case c.Sliding == 0:
	case c.Sliding <= c.Queue.Session:
		return blame("session", fmt.Errorf("session %[1]v sliding %[2]v prolongs nothing: write a longer time than %[1]v behind sliding, or take it away", c.Queue.Session, c.Sliding))
	case c.Sliding > pass.MaxLife:
		return blame("session", fmt.Errorf("session sliding must be %v or less, not %v: no pass is renewed beyond it", pass.MaxLife, c.Sliding))
	}
	return nil
}

// renew gives a fan who uses the site another pass, with the answer to this request,
// if the one at hand is in its second half. Whatever keeps it from being done, the
// pass at hand is good to its end.
func (h *Handler) renew(r *http.Request, claims *pass.Claims, in *inside) {
	got, err := h.room.Renew(r.Context(), room.Used{
		Visitor: claims.Visitor, ID: claims.ID, Issued: claims.IssuedAt, Expires: claims.Expires, Began: claims.Began,
	})
	if errors.Is(err, room.ErrNotDue) {
		return
	}
	var token string
	if err == nil {
		token, err = h.signFor(r, claims.Visitor, got)
	}
	h.app.Count(h.Room, "renew", renewing(err))
	if err == nil {
		in.token, in.fresh = token, &handover{life: got.Expires.Sub(got.Issued)}
	}
}

// renewing names what became of it, for the metrics.
func renewing(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, queue.ErrOver):
		return "over"
	}
	return "unavailable"
}
