package waitroom

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// placeLife is how long a browser keeps a place: longer than any sale waits.
const placeLife = 7 * 24 * time.Hour

// secure says whether cookies can have the __Host- prefix.
func secure(r *http.Request) bool { return r.TLS != nil }

// placeOf is what the place cookie says; false without one that holds.
func (h *Handler) placeOf(r *http.Request) (place.Token, bool) {
	c, err := r.Cookie(place.CookieName(h.Room, secure(r)))
	if err != nil {
		return place.Token{}, false
	}
	tok, err := h.app.Places().Open(h.Room, c.Value)
	return tok, err == nil
}

// visitorOf is the visitor of a request. One without is given an id, which is
// fixed before the join, so that joining twice is joining once.
func (h *Handler) visitorOf(w http.ResponseWriter, r *http.Request) (place.Token, error) {
	if tok, ok := h.placeOf(r); ok {
		return tok, nil
	}
	v, err := place.NewVisitor(rand.Reader)
	if err != nil {
		return place.Token{}, err
	}
	tok := place.Token{Visitor: v}
	h.setPlace(w, r, tok)
	return tok, nil
}

func (h *Handler) setPlace(w http.ResponseWriter, r *http.Request, tok place.Token) {
	setCookie(w, r, place.CookieName(h.Room, secure(r)), h.app.Places().Seal(h.Room, tok), placeLife)
}

func (h *Handler) setPass(w http.ResponseWriter, r *http.Request, token string, life time.Duration) {
	setCookie(w, r, pass.CookieName(h.Room, secure(r)), token, life)
}

// setCookie replaces a cookie of the same name that this response sets already:
// one cookie, one value. A life of zero or less removes it from the browser.
func setCookie(w http.ResponseWriter, r *http.Request, name, value string, life time.Duration) {
	c := &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life.Seconds()),
		Secure: secure(r), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if life <= 0 {
		c.MaxAge = -1
	}
	all := w.Header()["Set-Cookie"]
	kept := all[:0:0]
	for _, line := range all {
		if len(line) <= len(name) || line[:len(name)] != name || line[len(name)] != '=' {
			kept = append(kept, line)
		}
	}
	w.Header()["Set-Cookie"] = append(kept, c.String())
}
