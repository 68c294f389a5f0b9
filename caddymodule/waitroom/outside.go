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
// meets the waiting room, everything else a refusal that programs understand. known
// is the visitor, if one has just been made for this request.
func (h *Handler) outside(w http.ResponseWriter, r *http.Request, why error, known place.Token) error {
	if !opensPage(r) {
		h.app.Count(h.Room, "page", "refused")
		return refuse(w, problemPassRequired.With("room", h.Room).With("state", string(h.room.View().State)).With("join", h.paths.base+"join"))
	}
	tok, err := h.waiting(w, r, why, known)
	if err != nil {
		return h.refuse(w, r, "page", err)
	}
	if h.rejects() && !tok.Placed() && h.room.View().State.Takes() {
		return h.showFull(w, r, tok)
	}
	h.app.Count(h.Room, "page", "shown")
	return h.showPage(w, r, tok, shown{status: h.Status})
}

// waiting is the place that the page is about. After the sale it is about
// nobody's: such a page costs no cookie and no Redis call.
func (h *Handler) waiting(w http.ResponseWriter, r *http.Request, why error, known place.Token) (place.Token, error) {
	if state := h.room.View().State; state == room.SoldOut || state == room.Closed {
		tok, _ := h.placeOf(r)
		return tok, nil
	}
	if known != (place.Token{}) {
		h.setPlace(w, r, known)
		return known, nil
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

// shown says how the page is sent.
type shown struct {
	status int  // 0 is 200
	full   bool // there is no room, and no places are given
}

func (h *Handler) showPage(w http.ResponseWriter, r *http.Request, tok place.Token, how shown) error {
	v := h.room.View()
	status := h.statusOf(tok, seenBy(r))
	if how.full {
		status.PollAfter = int(v.RetryAfter().Seconds())
	}
	if how.status == 0 {
		how.status = http.StatusOK
	}
	var body bytes.Buffer
	err := page.Render(&body, page.Page{
		Status: status, Joined: tok.Placed(), Full: how.full, Degraded: v.Degraded,
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
	if how.status != http.StatusOK || how.full {
		header.Set("Retry-After", strconv.Itoa(status.PollAfter))
	}
	w.WriteHeader(how.status)
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
