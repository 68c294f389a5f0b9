package room

import "time"

// State is what a room is doing. The text is the one on the wire.
type State string

// The states of a room, in the order of a sale.
const (
	Scheduled State = "scheduled" // nobody may come in yet
	Lobby     State = "lobby"     // fans come in, arrival does not matter
	Drawing   State = "drawing"   // the lobby is over, and its order is being drawn
	Open      State = "open"      // the queue moves
	Paused    State = "paused"    // an operator stopped admission
	SoldOut   State = "sold-out"  // nothing is left, held or free
	Closed    State = "closed"    // the schedule is over
)

// Takes says whether a new visitor may join.
func (s State) Takes() bool { return s == Lobby || s == Drawing || s == Open || s == Paused }

// stateAt decides by the schedule, the stock and the operator, final things
// first: a sold-out sale that is paused is sold out.
func stateAt(cfg *Config, now time.Time, stock *Stock, paused, drawn bool) State {
	switch {
	case !cfg.Closes.IsZero() && !now.Before(cfg.Closes):
		return Closed
	case stock != nil && stock.State == StockSoldOut:
		return SoldOut
	case !cfg.Opens.IsZero() && now.Before(cfg.lobbyOpens()):
		return Scheduled
	case !cfg.Opens.IsZero() && now.Before(cfg.Opens):
		return Lobby
	case cfg.Draws() && !drawn:
		return Drawing
	case paused:
		return Paused
	}
	return Open
}
