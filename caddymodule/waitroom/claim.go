package waitroom

import (
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// claimed is the answer to a claim.
type claimed struct {
	Location string    `json:"location"`
	Expires  time.Time `json:"expires"`
}

// serveClaim turns a turn into a pass. Claiming again gives a pass that ends
// when the first one does.
func (h *Handler) serveClaim(w http.ResponseWriter, r *http.Request) error {
	if _, claims, err := h.pass(r); err == nil {
		return h.in(w, r, claims.Expires)
	}
	tok, err := h.known(w, r)
	if err != nil {
		return h.refuse(w, r, "claim", err)
	}
	got, err := h.room.Claim(r.Context(), tok)
	if errors.Is(err, queue.ErrTurnMissed) {
		h.setPlace(w, r, unplaced(tok)) // it is used up; the visitor may join again
	}
	if err != nil {
		return h.refuse(w, r, "claim", err)
	}
	if err := h.givePass(w, r, tok.Visitor, got); err != nil {
		return h.refuse(w, r, "claim", err)
	}
	if got.Again {
		h.app.Count(h.Room, "claim", "again")
	} else {
		h.app.Count(h.Room, "claim", "fresh")
	}
	return h.in(w, r, got.Expires)
}

// givePass puts the pass for a session into its cookie.
func (h *Handler) givePass(w http.ResponseWriter, r *http.Request, visitor place.Visitor, got room.Claim) error {
	token, err := h.sign(r, visitor, got)
	if err != nil {
		return err
	}
	h.setPass(w, r, token, got.Expires.Sub(got.Issued))
	return nil
}

// sign makes the pass of a session.
func (h *Handler) sign(r *http.Request, v place.Visitor, session room.Claim) (string, error) {
	return h.signFor(r, v.String(), session)
}

func (h *Handler) signFor(r *http.Request, visitor string, session room.Claim) (string, error) {
	return h.app.Signer().Sign(pass.Claims{
		Room: h.Room, Visitor: visitor, ID: uuid.NewString(),
		IssuedAt: session.Issued, Expires: session.Expires, Began: session.Began,
		Limit: h.room.Config().TicketLimit, Binding: binding(r),
	})
}

// in sends a visitor with a pass to the site.
func (h *Handler) in(w http.ResponseWriter, r *http.Request, expires time.Time) error {
	if wantsPage(r) {
		return h.back(w, r, "")
	}
	return answer(w, http.StatusOK, claimed{Location: localPath(r), Expires: expires.UTC()})
}
