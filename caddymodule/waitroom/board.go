package waitroom

import (
	"net/http"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/board"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// publicBoard is the room as anybody may see it.
type publicBoard struct {
	Room              string       `json:"room"`
	State             string       `json:"state"`
	AllHeld           bool         `json:"allHeld"`
	Rate              int          `json:"rate"`
	RatePerSeconds    float64      `json:"ratePerSeconds"` // the rate is per so many seconds
	AdmittedPerMinute float64      `json:"admittedPerMinute"`
	Waiting           int          `json:"waiting"`
	Message           string       `json:"message"`
	Stock             *room.Stock  `json:"stock"`
	Opens             *time.Time   `json:"opens"`
	Order             *board.Board `json:"order"` // ranks and their scores, within 1 %
}

// serveBoard shows the room to everybody. It is the same for all, so a cache in
// front makes it one request a second.
func (h *Handler) serveBoard(w http.ResponseWriter, _ *http.Request) error {
	v := h.room.View()
	doc := publicBoard{
		Room: v.Room, State: string(v.State), AllHeld: v.AllHeld,
		Rate: v.Settings.Rate, RatePerSeconds: v.Settings.Per.Seconds(), AdmittedPerMinute: v.AdmittedPerMinute,
		Waiting: v.Waiting, Message: v.Message, Stock: v.Stock, Order: v.Board,
	}
	if !v.Opens.IsZero() {
		opens := v.Opens.UTC().Truncate(time.Second)
		doc.Opens = &opens
	}
	w.Header().Set("Cache-Control", "public, max-age=0, s-maxage=1")
	h.app.Count(h.Room, "board", "done")
	return send(w, http.StatusOK, doc)
}

// serveKeys publishes the keys that passes are checked with.
func (h *Handler) serveKeys(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	// Short enough that a new key is known before it signs.
	w.Header().Set("Cache-Control", "public, max-age=60")
	_, _ = w.Write(h.app.Signer().JWKS()) // the client is gone if this fails
	return nil
}
