package room

import (
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Status is what a fan is told about its place, in the shape of the wire.
type Status struct {
	Room      string     `json:"room"`
	State     string     `json:"state"`
	Method    Method     `json:"method"` // of the room: lottery, fifo or reject
	Visitor   string     `json:"visitor,omitempty"`
	Position  int        `json:"position"`
	Ahead     int        `json:"ahead"`
	Waiting   int        `json:"waiting"`
	ETA       *ETARange  `json:"eta"`
	Chance    Chance     `json:"chance"`
	Stream    string     `json:"stream,omitempty"` // the caller knows its own paths
	PollAfter int        `json:"pollAfter"`
	Degraded  bool       `json:"degraded,omitempty"` // Redis is away; every place is safe
	Drawn     bool       `json:"drawn,omitempty"`    // the place came out of the draw
	Message   string     `json:"message"`
	Stock     *Stock     `json:"stock"`
	Opens     *time.Time `json:"opens"`

	Tier       string   `json:"tier"`       // that the fan is in; empty for everybody else
	TiersAhead []string `json:"tiersAhead"` // that are let in before it
}

// ETARange is in whole seconds.
type ETARange struct {
	Low  int64 `json:"low"`
	High int64 `json:"high"`
}

// States of a fan that are not states of the room.
const (
	FanWaiting  = "waiting"
	FanAdmitted = "admitted"
	FanActive   = "active"
)

// fanState is the state of a fan with a place who has no pass.
func (v *View) fanState(s place.Score) string {
	switch {
	case v.State != Open && v.State != Paused:
		return string(v.State)
	case v.Passed(s):
		return FanAdmitted
	case v.State == Paused || s == 0:
		return string(v.State)
	}
	return FanWaiting
}

// Status is what the fan with this token sees now. Seen is the lowest position
// it was shown before (0 for none): what is shown never goes up, and since it
// only lowers what is shown, it needs no trust.
func (v *View) Status(tok place.Token, seen int) Status {
	s := Status{
		Room:      v.Room,
		State:     v.fanState(tok.Score),
		Method:    v.Method,
		Visitor:   tok.Visitor.String(),
		Waiting:   v.Waiting,
		PollAfter: int(v.PollAfter(tok.Score).Seconds()),
		Message:   v.message(),
		Stock:     v.Stock,
		Degraded:  v.Degraded,
	}
	if !v.Opens.IsZero() {
		opens := v.Opens.UTC().Truncate(time.Second)
		s.Opens = &opens
	}
	s.Drawn = tok.Placed() && tok.Score-tok.Score.Tier().Base() < place.LiveBase
	if tok.Placed() && !v.Passed(tok.Score) {
		s.Position = clamp(v.Position(tok.Score), seen)
		s.Ahead = max(0, s.Position-1)
	}
	if low, high, known := v.ETA(s.Position); known {
		s.ETA = &ETARange{wholeSeconds(low), wholeSeconds(high)}
	}
	s.Chance = v.Chance(s.Position)
	s.Tier, s.TiersAhead = v.tier(tok.Score)
	return s
}

const (
	pollLeast = 2 * time.Second
	pollMost  = 30 * time.Second
)

// PollAfter is when a fan without a stream should ask again: a tenth of the
// shortest wait, so that those near the front hear soon and the rest cost little.
func (v *View) PollAfter(s place.Score) time.Duration {
	if v.State == Drawing {
		return pollLeast + pollLeast/2
	}
	if v.State == Lobby || v.State == Scheduled {
		return min(max((v.Opens.Sub(v.Now))/4, pollLeast), pollMost)
	}
	low, _, known := v.ETA(v.Position(s))
	if !known {
		return pollMost / 3
	}
	return min(max(low/10, pollLeast), pollMost).Truncate(time.Second)
}
