package waitroom

import (
	"net/http"
	"time"

	"github.com/caddy-tickets/caddy-tickets/caddymodule/ticketsapp"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// placeOf is what the place cookie says; false without one that holds.
func (h *Handler) placeOf(r *http.Request) (place.Token, bool) { return h.app.PlaceOf(r, h.Room) }

// visitorOf is the visitor of a request; one without is given an id.
func (h *Handler) visitorOf(w http.ResponseWriter, r *http.Request) (place.Token, error) {
	return h.app.VisitorOf(w, r, h.Room)
}

func (h *Handler) setPlace(w http.ResponseWriter, r *http.Request, tok place.Token) {
	h.app.SetPlace(w, r, h.Room, tok)
}

func (h *Handler) setPass(w http.ResponseWriter, r *http.Request, token string, life time.Duration) {
	ticketsapp.SetCookie(w, r, passCookie(h.Room, r), token, life)
}

// passCookie is the name of the room's pass: over plain HTTP it cannot have the
// __Host- prefix.
func passCookie(room string, r *http.Request) string { return pass.CookieName(room, r.TLS != nil) }
