package room

import "github.com/caddy-tickets/caddy-tickets/internal/queue"

// DrawState is how far a room's draw is, for the operator.
type DrawState struct {
	Stage    string `json:"stage"`
	Entrants int    `json:"entrants"`          // in the lobby, and from frozen on in the draw
	Beacon   string `json:"beacon,omitempty"`  // what the draw was announced to wait for
	Trouble  string `json:"trouble,omitempty"` // what kept it from going on last
}

// The stages of DrawState.
const (
	DrawNone      = "none"      // the commitment is not published yet
	DrawCommitted = "committed" // who comes until the opening takes part
	DrawFrozen    = "frozen"    // nobody comes in any more; it waits for the beacon, if there is one
	DrawDrawn     = "drawn"     // everybody is being given a place
	DrawEntered   = "entered"   // everybody has one
)

// DrawState is nil in a room that draws nothing.
func (r *Room) DrawState() *DrawState {
	cfg := r.cfg.Load()
	if !cfg.Draws() {
		return nil
	}
	r.mu.Lock()
	s := &DrawState{Stage: DrawNone, Entrants: r.last.Lobby}
	r.mu.Unlock()
	d := &r.drawing
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.id != cfg.drawID() {
		return s
	}
	s.Beacon, s.Trouble = d.record.Beacon.Source, d.trouble
	if d.record.Count != nil {
		s.Entrants = *d.record.Count
	}
	switch {
	case d.entered:
		s.Stage = DrawEntered
	case d.stage == queue.Committed:
		s.Stage = DrawCommitted
	case d.stage == queue.Frozen:
		s.Stage = DrawFrozen
	case d.stage == queue.Drawn:
		s.Stage = DrawDrawn
	}
	return s
}

// Stranded is how many entrants of a lobby wait for a draw that this config does not
// make: its lobby or its lottery was taken away while they were in it.
func (r *Room) Stranded() int {
	if r.cfg.Load().Draws() {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.Lobby
}
