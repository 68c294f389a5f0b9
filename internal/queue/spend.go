package queue

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Link is a signed link that is good for one use.
type Link struct {
	ID      string    // no other link has it
	Expires time.Time // until then it is kept that the link was used
	Name    string    // what its use is counted under; empty if it is not
}

// What keeps a link from being used. With ErrCap and ErrPaused it stays good.
var (
	ErrSpent    = errors.New("the link was used by another visitor, or what it gave is over")
	ErrLinkOver = errors.New("the link's time is over")
	ErrCap      = errors.New("as many are inside as may be")
	ErrPaused   = errors.New("the room is paused")

	errUnset = errors.New("no settings are in force")
)

// What a link is used for, as spend.lua reads it.
const (
	forSession = "S"
	forLive    = "L"
	forLobby   = "U"
	forNothing = "N"
	forAsking  = "M" // a session in another shard: it is the first that knows of a pause
	takenBack  = "R"
)

// EnterBy uses a link up for a session, beside the queue: it takes nothing from the
// rate, and it never exceeds the cap (Q6). The visitor's place or turn is given up for it.
// Asking again finds the same session. Errors are ErrSpent, ErrLinkOver, ErrCap,
// ErrPaused and ErrUnavailable; after the last three nothing has been used up,
// unless the answer was lost, and then the visitor finds the session by asking again.
//
// In a room that is split, how many are inside is known as of the last tick: guests who
// come between two of them can be that many too many.
func (q *Queue) EnterBy(ctx context.Context, l Link, v place.Visitor) (Claim, error) {
	got, err := q.spend(ctx, l, v, forSession, 0, 0)
	if err != nil {
		return Claim{}, err
	}
	if got.state == spentNow {
		q.inside.Add(1)
	}
	return Claim{At: got.now, Expires: time.UnixMilli(got.value).UTC(), Again: got.state == spentBefore}, nil
}

// PlaceBy uses a link up for a place in a tier: in its lobby if a draw is given that is
// not frozen yet, else at its end. A visitor with a place of a later tier moves up, one with as good a place
// keeps it and the link. A full queue refuses no guest. Errors are ErrSpent, ErrLinkOver and
// ErrUnavailable.
func (q *Queue) PlaceBy(ctx context.Context, l Link, v place.Visitor, tier place.Tier, draw int64) (Placing, error) {
	what := forLive
	if draw != 0 {
		what = forLobby
	}
	got, err := q.spend(ctx, l, v, what, tier, draw)
	if err != nil {
		return Placing{}, err
	}
	p := Placing{Generation: got.generation}
	switch got.state {
	case hasTurn:
		p.State = Turn
	case hasSession:
		p.State = Active
	default:
		p.State, p.Score, p.Fresh = Waiting, place.Score(got.value), got.state == spentNow
	}
	return p, nil
}

// Spend uses a link up for nothing but that. The visitor who did may ask again.
func (q *Queue) Spend(ctx context.Context, l Link, v place.Visitor) error {
	_, err := q.spend(ctx, l, v, forNothing, 0, 0)
	return err
}

// The states of spend.lua's reply that are no errors.
const (
	spentNow = iota + 1
	spentBefore
	hasTurn
	hasSession
)

// spent is its reply.
type spent struct {
	state      int64
	value      int64 // the end of a session, or the score of a place
	now        time.Time
	generation uint32
	before     bool // the visitor had used the link already
}

// spend uses a link where the visitor's place is. The parts of a room that is split lie
// on different nodes, and no script reaches two: there the fleet first agrees in one
// part who uses the link. That is taken back if nothing came of it. Should this
// process end in between, the link is the visitor's, who may ask again.
func (q *Queue) spend(ctx context.Context, l Link, v place.Visitor, what string, tier place.Tier, draw int64) (spent, error) {
	home, first := q.of(v), q.first()
	if home == first || what == forNothing {
		return q.spendIn(ctx, first, l, v, what, tier, draw)
	}
	bare := Link{ID: l.ID, Expires: l.Expires} // counted once
	asked := forNothing
	if what == forSession {
		asked = forAsking
	}
	mark, err := q.spendIn(ctx, first, bare, v, asked, 0, 0)
	if err != nil {
		return spent{}, err
	}
	got, err := q.spendIn(ctx, home, l, v, what, tier, draw)
	nothing := err == nil && got.state != spentNow && !got.before ||
		errors.Is(err, ErrCap) || errors.Is(err, ErrPaused) || errors.Is(err, errUnset)
	if nothing && mark.state == spentNow {
		if _, err := q.spendIn(ctx, first, bare, v, takenBack, 0, 0); err != nil {
			return spent{}, err
		}
	}
	return got, err
}

func (q *Queue) spendIn(ctx context.Context, s *shard, l Link, v place.Visitor, what string, tier place.Tier, draw int64) (spent, error) {
	inside := int64(0)
	if q.Shards() > 1 {
		inside = q.inside.Load()
	}
	keys := []string{s.keys.Room, s.keys.Queue, s.keys.Turn, s.keys.Active, s.keys.Away, s.keys.Link(l.ID), s.keys.Guests}
	got, err := ints(q.eval(ctx, spendScript, keys, v[:], l.Expires.UnixMilli(), what, strconv.Itoa(int(tier)), l.Name,
		s.known.arg(), draw, inside), 5)
	if err != nil {
		return spent{}, unavailable("using a link", err)
	}
	switch state := got[0]; state {
	case spentNow, spentBefore, hasTurn, hasSession:
		return spent{state, got[1], time.UnixMilli(got[2]).UTC(), uint32(got[3]), got[4] == 1}, nil
	case 5:
		return spent{}, ErrSpent
	case 6:
		return spent{}, ErrLinkOver
	case 7:
		return spent{}, ErrCap
	case 8:
		return spent{}, ErrPaused
	case 9: // they come with the next ticks
		return spent{}, unavailable("using a link", errUnset)
	default:
		return spent{}, unavailable("using a link", errReply)
	}
}

// Guests says how many links have been used, by the names they are counted under.
func (q *Queue) Guests(ctx context.Context) (map[string]int, error) {
	out := make(map[string]int)
	for _, part := range q.all() {
		got, err := q.rdb.HGetAll(ctx, part.keys.Guests).Result()
		if err != nil {
			return nil, unavailable("counting guests", err)
		}
		for name, text := range got {
			if n, err := strconv.Atoi(text); err == nil {
				out[name] += n
			}
		}
	}
	return out, nil
}
