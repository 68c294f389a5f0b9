package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// NoLimit is a TickInput.Limit that does not limit.
const NoLimit = -1

// TickInput is what an edge knows that Redis may not.
type TickInput struct {
	Limit        int    // most to admit now, for stock or health; NoLimit for none
	RevokedSince int64  // unix ms; revocations from then on are returned
	Edge         string // names this process among the edges; empty to be counted among none
	Unwell       bool   // this edge finds the site behind unwell

	// Hold keeps every edge from admitting anybody until then, by Redis' clock and for
	// two minutes at most: fans known here have yet to bring their places back.
	Hold time.Time
}

// hold is Hold as the scripts read it.
func (in TickInput) hold() int64 {
	if in.Hold.IsZero() {
		return 0
	}
	return in.Hold.UnixMilli()
}

// Tick is how the room stands.
type Tick struct {
	Now         time.Time    // Redis' clock
	Generations []uint32     // of the data of each shard: another one means that Redis lost them
	LostAt      time.Time    // about when they began, if by the loss of others; else zero
	Fronts      place.Fronts // every place at or below its tier's has had its turn

	Waiting, Turns, Active int
	Admitted               int // by this very call
	AdmittedTotal          int64
	NoShowsTotal           int64 // turns that nobody claimed in time
	Lobby                  int   // of those who wait, the ones who have not been drawn
	Frozen                 int64 // id of the draw whose lobby is closed in every shard; 0 for none

	Edges       int // that ticked in the last seconds
	EdgesUnwell int // those of them that find the site behind unwell

	Paused   bool
	Message  string
	Settings Settings // in force, whoever loaded them
	Revision int64    // grows with every change of them
	Revoked  []Revocation
}

// Revocation ends the passes that a visitor got until At.
type Revocation struct {
	Visitor place.Visitor
	At      time.Time
}

// errShards is two edges that would scatter one room's places.
var errShards = errors.New("the room is split into another number of shards by another edge: give all edges one config, and split a room only while it is empty")

// Tick moves the room on: it ends what is over, drops abandoned places, admits
// whom the rate and the cap allow (Q1, Q6), and says how the room stands. Any
// number of edges may call it at any pace; together they admit what one would.
// One call admits at most 1,000.
func (q *Queue) Tick(ctx context.Context, in TickInput) (Tick, error) {
	if q.Shards() > 1 {
		return q.round(ctx, in)
	}
	s := q.first()
	keys := []string{s.keys.Room, s.keys.Queue, s.keys.Turn, s.keys.Active, s.keys.Away, s.keys.Revoked, s.keys.Edges, s.keys.Unwell}
	got, err := q.eval(ctx, tickScript, keys, s.known.arg(), in.Limit, in.RevokedSince, in.Edge, flag(in.Unwell), in.hold()).Slice()
	if err != nil {
		return Tick{}, unavailable("ticking", err)
	}
	r, err := s.read(got)
	if err != nil {
		return Tick{}, unavailable("ticking", err)
	}
	return r.Tick, q.checkShards(r)
}

func (q *Queue) checkShards(first report) error {
	inside := first.Waiting + first.Turns + first.Active
	if n := first.Settings.Shards; n != 0 && n != q.Shards() && inside > 0 {
		return fmt.Errorf("ticking: %w: %w", ErrUnavailable, errShards)
	}
	return nil
}

// report is the reply of tick.lua and survey.lua.
type report struct {
	Tick
	applied, round int64
	plan           string
	heads          []place.Score
}

// read takes a report in.
func (s *shard) read(got []any) (report, error) {
	r := reply{values: got}
	generation, step := uint32(r.int()), r.int()
	t := report{Tick: Tick{Now: r.time(), Generations: []uint32{generation}}}
	for tier := range t.Fronts {
		t.Fronts[tier] = place.Score(r.int())
	}
	t.Waiting, t.Turns, t.Active, t.Admitted = int(r.int()), int(r.int()), int(r.int()), int(r.int())
	t.AdmittedTotal, t.NoShowsTotal, t.Lobby, t.Frozen = r.int(), r.int(), int(r.int()), r.number()
	t.Edges, t.EdgesUnwell, t.Paused, t.Message = int(r.int()), int(r.int()), r.int() == 1, r.text()
	t.Settings = Settings{
		Rate: int(r.int()), Per: r.duration(), Burst: int(r.int()), Active: int(r.int()),
		Session: r.duration(), ClaimWithin: r.duration(), AbandonAfter: r.duration(), MaxQueue: int(r.int()), Shards: int(r.int()),
	}
	t.Revision, t.applied, t.round, t.plan = r.int(), r.int(), r.int(), r.text()
	if uint32(r.int()) == generation {
		t.LostAt = time.Unix(int64(generation)+1, 0).UTC() // a generation is named by the second it began in
	}
	for range r.int() {
		t.heads = append(t.heads, place.Score(r.int()))
	}
	for r.more() {
		v := r.text()
		at := r.time()
		if len(v) == len(place.Visitor{}) {
			t.Revoked = append(t.Revoked, Revocation{place.Visitor([]byte(v)), at})
		}
	}
	if r.bad {
		return report{}, errReply
	}
	s.known.saw(generation, step)
	s.known.raise(t.Fronts)
	return t, nil
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
