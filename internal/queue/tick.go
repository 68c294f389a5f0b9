package queue

import (
	"context"
	"strconv"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// NoLimit is a TickInput.Limit that does not limit.
const NoLimit = -1

// TickInput is what an edge knows that Redis may not.
type TickInput struct {
	Front        place.Score // the highest front the caller has seen, if more than this Queue
	Limit        int         // most to admit now, for stock or health; NoLimit for none
	RevokedSince int64       // unix ms; revocations from then on are returned
}

// Tick is how the room stands.
type Tick struct {
	Now        time.Time   // Redis' clock
	Generation uint32      // of the room's data: another one means that Redis lost it
	Front      place.Score // every place at or below has had its turn

	Waiting, Turns, Active int
	Admitted               int // by this very call
	AdmittedTotal          int64
	NoShowsTotal           int64 // turns that nobody claimed in time

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

// Tick moves the room on: it ends what is over, drops abandoned places, admits
// whom the rate and the cap allow (Q1, Q6), and says how the room stands. Any
// number of edges may call it at any pace; together they admit what one would.
// One call admits at most 1,000.
func (q *Queue) Tick(ctx context.Context, in TickInput) (Tick, error) {
	keys := []string{q.keys.Room, q.keys.Queue, q.keys.Turn, q.keys.Active, q.keys.Away, q.keys.Revoked}
	q.saw(in.Front)
	front := strconv.FormatUint(q.front.Load(), 10)
	got, err := q.eval(ctx, tickScript, keys, front, in.Limit, in.RevokedSince).Slice()
	if err != nil {
		return Tick{}, unavailable("ticking", err)
	}
	r := reply{values: got}
	t := Tick{
		Now: r.time(), Generation: uint32(r.int()), Front: place.Score(r.int()),
		Waiting: int(r.int()), Turns: int(r.int()), Active: int(r.int()), Admitted: int(r.int()),
		AdmittedTotal: r.int(), NoShowsTotal: r.int(), Paused: r.int() == 1, Message: r.text(),
		Settings: Settings{
			Rate: int(r.int()), Per: r.duration(), Burst: int(r.int()), Active: int(r.int()),
			Session: r.duration(), ClaimWithin: r.duration(), AbandonAfter: r.duration(), MaxQueue: int(r.int()),
		},
		Revision: r.int(),
	}
	for r.more() {
		v := r.text()
		at := r.time()
		if len(v) == len(place.Visitor{}) {
			t.Revoked = append(t.Revoked, Revocation{place.Visitor([]byte(v)), at})
		}
	}
	if r.bad {
		return Tick{}, unavailable("ticking", errReply)
	}
	q.saw(t.Front)
	return t, nil
}

// reply reads a script's mixed reply in order. Once something is not as
// expected it is bad and everything reads as zero.
type reply struct {
	values []any
	bad    bool
}

func (r *reply) more() bool { return !r.bad && len(r.values) > 0 }

func (r *reply) next() any {
	if len(r.values) == 0 {
		r.bad = true
		return nil
	}
	v := r.values[0]
	r.values = r.values[1:]
	return v
}

func (r *reply) int() int64 {
	n, ok := r.next().(int64)
	r.bad = r.bad || !ok
	return n
}

func (r *reply) text() string {
	s, ok := r.next().(string)
	r.bad = r.bad || !ok
	return s
}

func (r *reply) time() time.Time { return time.UnixMilli(r.int()).UTC() }

func (r *reply) duration() time.Duration { return time.Duration(r.int()) * time.Millisecond }
