package waitroom

import (
	"net/http"
	"strings"
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

// dropCookies takes the room's own cookies out of a request. The site is told all it
// needs in headers: a place is none of its business, and a pass that is sent twice
// costs every request half a kilobyte.
func dropCookies(r *http.Request, room string) {
	var kept strings.Builder
	for _, line := range r.Header["Cookie"] {
		for cookie := range strings.SplitSeq(line, ";") {
			cookie = strings.TrimSpace(cookie)
			if cookie == "" || ours(cookie, room) {
				continue
			}
			if kept.Len() > 0 {
				kept.WriteString("; ")
			}
			kept.WriteString(cookie)
		}
	}
	if kept.Len() == 0 {
		delete(r.Header, "Cookie")
		return
	}
	r.Header["Cookie"] = []string{kept.String()}
}

// ours says whether a cookie, as name=value, is the room's: its pass or its place, in
// the form of either scheme.
func ours(cookie, room string) bool {
	name, _, _ := strings.Cut(cookie, "=")
	name = strings.TrimPrefix(name, "__Host-")
	return name == pass.CookieName(room, false) || name == place.CookieName(room, false)
}
