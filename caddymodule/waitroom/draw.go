package waitroom

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
)

// Beacon is the public randomness of the draw, announced with the sale.
type Beacon struct {
	// Source says in words where anybody finds it, such as "drand quicknet round
	// 12345678". The word "drand" alone is its first round after the opening.
	Source string `json:"source"`
	// URL is where it is fetched; without one an operator announces the value.
	URL string `json:"url,omitempty"`
	// Within is how long after the opening the draw waits for it; 0 for as long as it takes.
	Within caddy.Duration `json:"within,omitempty"`
}

// autoDrand asks for the first round of drand after the opening.
const autoDrand = "drand"

// announced turns the setting into the draw's own form.
func (b *Beacon) announced(opens time.Time) draw.Beacon {
	if b == nil {
		return draw.Beacon{}
	}
	out := draw.Beacon{Source: b.Source, URL: b.URL}
	if b.Source == autoDrand {
		out = draw.DrandAfter(opens)
		if b.URL != "" {
			out.URL = b.URL
		}
	}
	if b.Within > 0 {
		out.Within = int(time.Duration(b.Within).Seconds())
	}
	return out
}

// check refuses a beacon that could not be published, or that nothing is drawn with.
func (b *Beacon) check(draws bool, opens time.Time) error {
	if b == nil {
		return nil
	}
	if !draws {
		return blame("beacon", errors.New("beacon needs a draw: set opens and lobby, and leave the method at lottery"))
	}
	if _, err := draw.Commit("check", opens, opens, make([]byte, draw.SecretLength), b.announced(opens)); err != nil {
		return blame("beacon", fmt.Errorf("beacon: %w", err))
	}
	return nil
}

// parseBeacon reads `beacon <source> [<url>] [<within>]`.
func parseBeacon(d *caddyfile.Dispenser) (*Beacon, error) {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 3 {
		return nil, d.Err(`beacon needs a source that anybody finds it by, and may have a URL and a time to wait: beacon "drand quicknet round 12345678" https://example.org/12345678 10m; or only: beacon drand`)
	}
	b := &Beacon{Source: args[0]}
	for _, arg := range args[1:] {
		within, err := caddy.ParseDuration(arg)
		switch {
		case err == nil && within > 0 && b.Within == 0:
			b.Within = caddy.Duration(within)
		case err != nil && b.URL == "":
			b.URL = arg
		default:
			return nil, d.Errf("beacon: %q is neither the one URL nor the one time to wait, such as 10m", arg)
		}
	}
	return b, nil
}

// What is published stays, so caches may keep it; before the draw is over, more is to come.
const (
	drawComing = "public, max-age=2"
	drawOver   = "public, max-age=300"
)

// serveDraw publishes the record of the draw.
func (h *Handler) serveDraw(w http.ResponseWriter, r *http.Request) error {
	d := h.room.Draw()
	if d.Record == nil {
		return refuse(w, problemNoDraw)
	}
	h.app.Count(h.Room, "draw", "record")
	return publish(w, r, "application/json", d.Over(), bytes.NewReader(d.Record))
}

// serveCohort publishes who was in the lobby: 17 bytes each, 85 MB for five million.
func (h *Handler) serveCohort(w http.ResponseWriter, r *http.Request) error {
	d := h.room.Draw()
	if d.Cohort == nil {
		return refuse(w, problemNotDrawn)
	}
	h.app.Count(h.Room, "draw", "cohort")
	root := d.Cohort.Root()
	w.Header().Set("Content-Disposition", `attachment; filename="`+h.Room+`-cohort.bin"`)
	w.Header().Set("ETag", strconv.Quote(hex.EncodeToString(root[:16])))
	return publish(w, r, "application/octet-stream", true, d.Cohort.File())
}

// publish sends what anybody may read, in ranges if asked.
func publish(w http.ResponseWriter, r *http.Request, kind string, over bool, file io.ReadSeeker) error {
	header := w.Header()
	header.Set("Content-Type", kind)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Access-Control-Allow-Origin", "*") // whoever checks the draw may do so in a page of their own
	header.Set("Cache-Control", drawComing)
	if over {
		header.Set("Cache-Control", drawOver)
	}
	http.ServeContent(w, r, "", time.Time{}, file)
	return nil
}

// serveProof shows a fan that they took part, and what was drawn for them.
func (h *Handler) serveProof(w http.ResponseWriter, r *http.Request) error {
	tok, ok := h.placeOf(r)
	if !ok {
		return refuse(w, problemNotQueued)
	}
	proof, err := h.room.Draw().Proof(tok.Visitor)
	if err != nil {
		return h.refuse(w, r, "draw", err)
	}
	h.app.Count(h.Room, "draw", "proof")
	return answer(w, http.StatusOK, proof)
}
