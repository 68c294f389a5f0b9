package waitroom

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/board"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
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
	Tiers             []publicTier `json:"tiers"` // let in before everybody else, in this order
	Order             *board.Board `json:"order"` // ranks and their scores, within 1 %
}

// publicTier is a tier as anybody may see it.
type publicTier struct {
	Name    string `json:"name"`
	Waiting int    `json:"waiting"` // within 0.1 %
}

// serveBoard shows the room to everybody. It is the same for all, so a cache in
// front makes it one request a second.
func (h *Handler) serveBoard(w http.ResponseWriter, r *http.Request) error {
	b, err := h.boards.of(h.room.View())
	if err != nil {
		return err
	}
	h.app.Count(h.Room, "board", "done")
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "public, max-age=0, s-maxage=1")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Vary", "Accept-Encoding")
	body := b.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = b.gzipped
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // the client is gone if this fails
	return nil
}

// boards keeps the board that was written last. One for five million places takes
// a few milliseconds to write, and anybody may ask.
type boards struct{ last atomic.Pointer[writtenBoard] }

type writtenBoard struct {
	view           *room.View
	plain, gzipped []byte
}

func (b *boards) of(v *room.View) (*writtenBoard, error) {
	if last := b.last.Load(); last != nil && last.view == v {
		return last, nil
	}
	plain, err := json.Marshal(boardOf(v))
	if err != nil {
		return nil, fmt.Errorf("writing the board: %w", err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(plain) // a buffer does not fail
	_ = z.Close()
	made := &writtenBoard{v, plain, packed.Bytes()}
	b.last.Store(made)
	return made, nil
}

func boardOf(v *room.View) publicBoard {
	doc := publicBoard{
		Room: v.Room, State: string(v.State), AllHeld: v.AllHeld,
		Rate: v.Settings.Rate, RatePerSeconds: v.Settings.Per.Seconds(), AdmittedPerMinute: v.AdmittedPerMinute,
		Waiting: v.Waiting, Message: v.Message, Stock: v.Stock, Order: v.Board, Tiers: []publicTier{},
	}
	if !v.Opens.IsZero() {
		opens := v.Opens.UTC().Truncate(time.Second)
		doc.Opens = &opens
	}
	for i, t := range v.Tiers {
		doc.Tiers = append(doc.Tiers, publicTier{t.Name, v.WaitingIn(place.Tier(i))})
	}
	return doc
}

// serveKeys publishes the keys that passes are checked with.
func (h *Handler) serveKeys(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	// Short enough that a new key is known before it signs.
	w.Header().Set("Cache-Control", "public, max-age=60")
	_, _ = w.Write(h.app.Signer().JWKS()) // the client is gone if this fails
	return nil
}
