package waitroom

import (
	"net/http"
	"strconv"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// serveStatus tells a fan how things stand: from memory, unless the place may
// be unknown to Redis.
func (h *Handler) serveStatus(w http.ResponseWriter, r *http.Request) error {
	_, _, outside := h.pass(r)
	tok, err := h.known(w, r)
	if err != nil && outside != nil { // who went straight through has a pass and no place
		return h.refuse(w, r, "status", err)
	}
	if err == nil {
		h.room.Seen(tok)
	}
	status := h.statusOf(tok, seenBy(r))
	if outside == nil {
		status.State = room.FanActive
	}
	h.app.Count(h.Room, "status", "done")
	return answer(w, http.StatusOK, status)
}

// known is the place of a request, entered again at its old score if Redis has
// lost it.
func (h *Handler) known(w http.ResponseWriter, r *http.Request) (place.Token, error) {
	tok, ok := h.placeOf(r)
	if !ok || !tok.Placed() {
		return tok, queue.ErrNotQueued
	}
	refreshed, err := h.room.Refresh(r.Context(), tok)
	if err != nil {
		return tok, nil // Redis is away again: the token is as good as before
	}
	if refreshed.Changed {
		h.setPlace(w, r, refreshed.Token)
	}
	return refreshed.Token, nil
}

// statusOf is what the fan with a token is told.
func (h *Handler) statusOf(tok place.Token, seen int) room.Status {
	status := h.room.View().Status(tok, seen)
	status.Stream = h.StreamOrigin + h.paths.stream
	return status
}

// unplaced is a visitor's token without the place.
func unplaced(tok place.Token) place.Token { return place.Token{Visitor: tok.Visitor} }

// seenBy is the last position that the client says it was shown. It only ever
// lowers what is shown, so it needs no trust.
func seenBy(r *http.Request) int {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("seen")
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
