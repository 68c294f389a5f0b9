package waitroom

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// A room with method reject keeps no queue: who finds no room is told so, and when
// to come back. Places from before it was set so are still good.

func (h *Handler) rejects() bool { return h.room.Config().Method == room.Reject }

// showFull shows a page that promises nothing.
func (h *Handler) showFull(w http.ResponseWriter, r *http.Request, tok place.Token) error {
	h.app.Count(h.Room, "page", "full")
	return h.showPage(w, r, tok, shown{status: cmp.Or(h.Status, problemRoomFull.Status), full: true})
}

// serveEntry answers a join where no places are given: with a session, or with when
// to come back. It is how programs come in.
func (h *Handler) serveEntry(w http.ResponseWriter, r *http.Request, tok place.Token) error {
	switch h.room.View().State {
	case room.Scheduled:
		return h.refuse(w, r, "join", room.ErrNotOpenYet)
	case room.SoldOut:
		return h.refuse(w, r, "join", room.ErrSoldOut)
	case room.Closed:
		return h.refuse(w, r, "join", room.ErrClosed)
	}
	if _, _, err := h.pass(r); err == nil { // inside already, however full it is
		return h.entered(w, r, tok)
	}
	session, token, err := h.begin(r, tok)
	if errors.Is(err, queue.ErrNoRoom) {
		err = problemRoomFull.After(h.room.View().RetryAfter())
	}
	if err != nil {
		return h.refuse(w, r, "join", err)
	}
	h.setPlace(w, r, tok)
	h.setPass(w, r, token, session.Expires.Sub(session.Issued))
	h.app.Count(h.Room, "join", "passed")
	return h.entered(w, r, tok)
}

func (h *Handler) entered(w http.ResponseWriter, r *http.Request, tok place.Token) error {
	if wantsPage(r) {
		return h.back(w, r, "")
	}
	status := h.statusOf(tok, 0)
	status.State = room.FanActive
	return answer(w, http.StatusOK, status)
}
