package ticketsapp

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// placeLife is how long a browser keeps a place: longer than any sale waits.
const placeLife = 7 * 24 * time.Hour

// PlaceOf is what the place cookie of a request says; false without one that holds.
func (a *App) PlaceOf(r *http.Request, room string) (place.Token, bool) {
	c, err := r.Cookie(place.CookieName(room, secure(r)))
	if err != nil {
		return place.Token{}, false
	}
	tok, err := a.places.Open(room, c.Value)
	return tok, err == nil
}

// VisitorOf is the visitor of a request. One without is given an id, which is
// fixed before the join, so that joining twice is joining once.
func (a *App) VisitorOf(w http.ResponseWriter, r *http.Request, room string) (place.Token, error) {
	if tok, ok := a.PlaceOf(r, room); ok {
		return tok, nil
	}
	v, err := place.NewVisitor(rand.Reader)
	if err != nil {
		return place.Token{}, err
	}
	tok := place.Token{Visitor: v}
	a.SetPlace(w, r, room, tok)
	return tok, nil
}

// SetPlace puts what a token says into the place cookie.
func (a *App) SetPlace(w http.ResponseWriter, r *http.Request, room string, tok place.Token) {
	SetCookie(w, r, place.CookieName(room, secure(r)), a.places.Seal(room, tok), placeLife)
}

// secure says whether cookies can have the __Host- prefix.
func secure(r *http.Request) bool { return r.TLS != nil }

// SetCookie replaces a cookie of the same name that this response sets already:
// one cookie, one value. A life of zero or less removes it from the browser.
func SetCookie(w http.ResponseWriter, r *http.Request, name, value string, life time.Duration) {
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
