package waitroom

import (
	"net/http"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// deprioritiseVar is set to true by whoever suspects a visitor, before this
// handler. The visitor waits behind the others and is not told.
const deprioritiseVar = "botguard.deprioritise"

// serveJoin gives the visitor a place: 201, or 200 with the place it has.
func (h *Handler) serveJoin(w http.ResponseWriter, r *http.Request) error {
	tok, err := h.visitorOf(w, r)
	if err != nil {
		return h.refuse(w, r, "join", err)
	}
	if h.rejects() && !h.room.View().Waits(tok) {
		return h.serveEntry(w, r, unplaced(tok))
	}
	joined, err := h.room.Join(r.Context(), tok, room.JoinOptions{Tier: h.tierOf(r)})
	if err != nil {
		return h.refuse(w, r, "join", err)
	}
	if !joined.Fresh {
		h.app.Count(h.Room, "join", "again")
	} else {
		h.app.Count(h.Room, "join", "fresh")
	}
	return h.placed(w, r, joined)
}

// placed answers a visitor who has got a place, or has had one.
func (h *Handler) placed(w http.ResponseWriter, r *http.Request, joined room.Joined) error {
	h.setPlace(w, r, joined.Token)
	if wantsPage(r) {
		return h.back(w, r, "")
	}
	status := h.statusOf(joined.Token, joined.Position)
	if joined.State == queue.Active { // the reply to an earlier claim was lost
		status.State = room.FanActive
	}
	code := http.StatusOK
	if joined.Fresh {
		code = http.StatusCreated
	}
	return answer(w, code, status)
}

// serveLeave gives up the place, the turn or the session.
func (h *Handler) serveLeave(w http.ResponseWriter, r *http.Request) error {
	if _, claims, err := h.pass(r); err == nil {
		h.release(w, r, claims.Visitor)
		return h.left(w, r)
	}
	tok, ok := h.placeOf(r)
	if !ok {
		return h.left(w, r) // leaving twice is leaving once
	}
	if err := h.room.Leave(r.Context(), tok); err != nil {
		return h.refuse(w, r, "leave", err)
	}
	h.setPlace(w, r, unplaced(tok))
	h.app.Count(h.Room, "leave", "done")
	return h.left(w, r)
}

func (h *Handler) left(w http.ResponseWriter, r *http.Request) error {
	if wantsPage(r) {
		// Marked, so that the page does not join again by itself.
		return h.back(w, r, "#left")
	}
	noStore(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
