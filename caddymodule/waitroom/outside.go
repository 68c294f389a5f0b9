package waitroom

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
	page "github.com/caddy-tickets/caddy-tickets/web/waitroom"
)

// outside answers a visitor without a valid pass: a browser that opens a page
// meets the waiting room, everything else a refusal that programs understand.
func (h *Handler) outside(w http.ResponseWriter, r *http.Request, why error) error {
	if !opensPage(r) {
		h.app.Count(h.Room, "page", "refused")
		return refuse(w, problemPassRequired.With("room", h.Room).With("state", string(h.room.View().State)).With("join", h.paths.base+"join"))
	}
	tok, err := h.waiting(w, r, why)
	if err != nil {
		return h.refuse(w, r, "page", err)
	}
	h.app.Count(h.Room, "page", "shown")
	return h.showPage(w, r, tok)
}

// waiting is the place that the page is about. After the sale it is about
// nobody's: such a page costs no cookie and no Redis call.
func (h *Handler) waiting(w http.ResponseWriter, r *http.Request, why error) (place.Token, error) {
	if state := h.room.View().State; state == room.SoldOut || state == room.Closed {
		tok, _ := h.placeOf(r)
		return tok, nil
	}
	tok, err := h.visitorOf(w, r)
	if err != nil || !tok.Placed() {
		return tok, err
	}
	if errors.Is(why, pass.ErrExpired) || errors.Is(why, errEnded) {
		tok = unplaced(tok) // the turn was had: the page offers to join again
		h.setPlace(w, r, tok)
		return tok, nil
	}
	if known, err := h.known(w, r); err == nil {
		tok = known
	}
	return tok, nil
}

func (h *Handler) showPage(w http.ResponseWriter, r *http.Request, tok place.Token) error {
	v := h.room.View()
	var body bytes.Buffer
	err := page.Render(&body, page.Page{
		Status: h.statusOf(tok, seenBy(r)), Joined: tok.Placed(), Degraded: v.Degraded,
		Base: h.paths.base, Location: wanted(r), Now: time.Now(),
	})
	if err != nil {
		return err
	}
	header := w.Header()
	noStore(w)
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", page.CSP(h.StreamOrigin))
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Add("Vary", "Accept, Cookie")
	if h.Status != http.StatusOK {
		header.Set("Retry-After", strconv.Itoa(int(v.PollAfter(tok.Score).Seconds())))
	}
	w.WriteHeader(h.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // the client is gone if this fails
	}
	return nil
}

// opensPage says whether a request is for a page that a person will look at. A
// browser says so itself (Fetch Metadata); of other clients the Accept header
// decides, and one that takes anything gets the page.
func opensPage(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return strings.Contains(accept, "text/html") // a form, sent after the session had ended
	}
	if dest := r.Header.Get("Sec-Fetch-Dest"); dest != "" {
		return dest == "document" || dest == "iframe" || dest == "frame"
	}
	return accept == "" || strings.Contains(accept, "text/html") || accept == "*/*"
}

// wanted is the path that the fan asked for, to come back to.
func wanted(r *http.Request) string {
	path := r.URL.RequestURI()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return localPath(r) // what a form was sent to may be no page
	}
	if !local(path) {
		return "/"
	}
	return path
}

// serveAsset sends a file of the page. One of another version of the page is not
// here; that answer is never cached, for the edge that has it may be next.
func (h *Handler) serveAsset(w http.ResponseWriter, r *http.Request) error {
	asset := page.FindAsset(r.URL.Path)
	if asset == nil {
		return refuse(w, problemNoAsset)
	}
	asset.ServeHTTP(w, r)
	return nil
}
