package room

import (
	"errors"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// PublishedDraw is the draw as anybody may see it.
type PublishedDraw struct {
	Record []byte       // JSON; nil in a room that draws nothing
	Cohort *draw.Cohort // nil until it is frozen
	drawn  draw.Record  // its Finished says whether scores are known
}

// Draw is the draw as this edge knows it.
func (r *Room) Draw() PublishedDraw {
	d := &r.drawing
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.id == 0 || d.id != r.cfg.Load().drawID() {
		return PublishedDraw{}
	}
	return PublishedDraw{d.raw, d.cohort, d.record}
}

// Over says whether everything is published.
func (d PublishedDraw) Over() bool { return d.drawn.Finished() }

// ErrNotDrawn says that there is nothing to prove yet.
var ErrNotDrawn = errors.New("nothing was drawn yet")

// Proof shows what became of a visitor in the draw: ErrNotDrawn before it is over, and
// draw.ErrNotInCohort for one who did not take part.
func (d PublishedDraw) Proof(v place.Visitor) (draw.Drawn, error) {
	if d.Cohort == nil || !d.drawn.Finished() {
		return draw.Drawn{}, ErrNotDrawn
	}
	return d.drawn.Drawn(d.Cohort, v)
}
