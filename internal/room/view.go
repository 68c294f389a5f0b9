package room

import (
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/board"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// View is one moment of a room. It is immutable: whoever holds one may read it
// without a lock for as long as they like.
type View struct {
	Room  string
	State State

	Method Method // how those who come are ordered

	AllHeld  bool // nothing free, but what is held may come back
	Degraded bool // Redis is away; every place is safe in its fan's token
	Unwell   bool // half or more of the edges find that the site behind is; nobody is admitted meanwhile

	Now                       time.Time // Redis time, as well as this edge knows it
	Opens, LobbyOpens, Closes time.Time // zero where the schedule has none

	Tiers    []Tier         // by their names, as everybody may see them
	Settings queue.Settings // in force, whoever loaded them
	Differs  bool           // they are not what this edge's own config says

	Edges, EdgesUnwell int // that tick; those of them that find the site behind unwell

	Waiting, Turns, Active      int
	AdmittedTotal, NoShowsTotal int64
	AdmittedPerMinute           float64 // measured; 0 until it can be told

	Fronts      place.Fronts // every place at or below its tier's has had its turn
	Board       *board.Board // nil until first read
	Ordered     time.Time    // a board from before shows the order before the draw
	Generations []uint32     // of the data in Redis, for each shard
	Stock       *Stock       // nil if not known
	Message     string       // the operator's words to the fans

	measured  float64 // admissions per second in the last minute
	measuring bool    // measured is known
	echo      echo
	demand    demand
	common    []byte // what is the same in every fan's line
	changes   []byte // events to everybody for what has just changed
}

// Position is the place's number in the queue, from 1; 0 if it cannot be told
// or means nothing yet, as in a lobby whose order is to be drawn.
func (v *View) Position(s place.Score) int {
	toBeDrawn := v.State == Lobby && v.Method != Fifo
	if s == 0 || s.Undrawn() || v.Board == nil || toBeDrawn || v.State == Scheduled || v.State == Drawing || v.Board.Made().Before(v.Ordered) {
		return 0
	}
	return v.Board.Position(s)
}

// Passed says whether the front has reached a place: its turn has come, or was.
func (v *View) Passed(s place.Score) bool { return v.Fronts.Passed(s) }

// generation is that of the visitor's data; 0 until it is known.
func (v *View) generation(visitor place.Visitor) uint32 {
	if len(v.Generations) == 0 {
		return 0
	}
	return v.Generations[queue.ShardOf(visitor, len(v.Generations))]
}

// View is the room as this edge knows it: one atomic load, no Redis call.
func (r *Room) View() *View { return r.view.Load() }

// changesShownFor is how long a change is repeated to whoever gets a line.
const changesShownFor = 2 * time.Second

// publishLocked makes the next view and wakes those whom it concerns.
func (r *Room) publishLocked() {
	cfg, old, now := r.cfg.Load(), r.view.Load(), r.nowLocked()
	v := &View{
		Room:          cfg.Name,
		Method:        cfg.Method,
		State:         stateAt(cfg, now, r.stock, r.last.Paused, r.drawing.done(cfg)),
		AllHeld:       r.stock != nil && r.stock.State == StockAllHeld,
		Degraded:      r.failures >= failuresBeforeDegraded,
		Unwell:        r.stoppedLocked(),
		Now:           now,
		Opens:         cfg.Opens,
		LobbyOpens:    cfg.lobbyOpens(),
		Closes:        cfg.Closes,
		Tiers:         cfg.Tiers,
		Settings:      r.last.Settings,
		Edges:         r.last.Edges,
		EdgesUnwell:   r.last.EdgesUnwell,
		Waiting:       r.last.Waiting,
		Turns:         r.last.Turns,
		Active:        r.last.Active,
		AdmittedTotal: r.last.AdmittedTotal,
		NoShowsTotal:  r.last.NoShowsTotal,
		Fronts:        r.fronts,
		Board:         r.board,
		Ordered:       r.drawing.ordered(cfg),
		Generations:   r.generations,
		Stock:         r.stock,
		Message:       r.last.Message,
	}
	if !r.ticked {
		v.Settings = inForce(cfg.Queue)
	}
	if r.stock != nil {
		v.demand = r.demand
		v.demand.stale = r.deps.Clock.Now().Sub(r.stock.At) > stockTrust
	}
	v.Differs = v.Settings != inForce(cfg.Queue)
	if rate, ok := r.pulse.perSecond(); ok {
		v.AdmittedPerMinute = rate * 60
	}
	if rate, ok := r.busy.perSecond(); ok {
		v.measured, v.measuring = rate, true
	}
	v.echo = r.echo
	changed := old == nil || old.State != v.State || old.message() != v.message() || old.Degraded != v.Degraded
	if changed {
		r.changes, r.changedAt = changeEvents(old, v), r.deps.Clock.Now()
	} else if r.deps.Clock.Now().Sub(r.changedAt) >= changesShownFor {
		r.changes = nil
	}
	v.changes, v.common = r.changes, commonMembers(v)
	r.view.Store(v)
	if old == nil {
		return
	}
	if (v.State == Open || v.State == Paused) && v.Fronts != old.Fronts {
		r.hub.Passed(func(score uint64) bool { return v.Passed(place.Score(score)) })
	}
	if changed {
		r.hub.Broadcast()
	}
}
