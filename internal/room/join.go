package room

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// Why a visitor cannot come in. Errors of the queue package come through as well.
var (
	ErrNotOpenYet = errors.New("the room is not open yet")
	ErrSoldOut    = errors.New("sold out")
	ErrClosed     = errors.New("the room is closed")
	ErrQueueFull  = errors.New("the queue is full")
)

// JoinOptions says how a visitor comes in.
type JoinOptions struct {
	Tier place.Tier // the first if the room has none; place.Deprioritised is behind all others
}

// Joined is a place. Token is to be sealed into the visitor's cookie.
type Joined struct {
	Token place.Token
	State queue.State
	Fresh bool // false if the visitor had this place already

	// Position is exact as it was at the join, where that is known; else 0. It is to
	// be given to Status as seen: the next board may not have the place yet.
	Position int
}

// Join gives the visitor of tok a place, or finds the one it has. The token must
// hold a visitor and is never trusted for more than its seal says. Refusals
// cost no Redis call. While Redis is away the place is signed by this edge's
// clock and entered later.
func (r *Room) Join(ctx context.Context, tok place.Token, how JoinOptions) (Joined, error) {
	v, asked := r.View(), r.surely()
	tok = r.drawn(tok)
	switch v.State {
	case Scheduled:
		return Joined{}, ErrNotOpenYet
	case SoldOut:
		return Joined{}, ErrSoldOut
	case Closed:
		return Joined{}, ErrClosed
	}
	if r.cfg.Load().Method == Reject && !v.Waits(tok) {
		return Joined{}, queue.ErrNoRoom // Enter is the only way in
	}
	if v.Degraded {
		return r.sign(tok, how, v, asked), nil
	}
	if tok.Score != 0 && !v.Passed(tok.Score) {
		return r.rejoin(ctx, tok, how, v, asked)
	}
	entry := queue.Entry{Visitor: tok.Visitor, Tier: how.Tier, Draw: r.lobbyOf(v)}
	placing, err := r.queue.Join(ctx, entry)
	switch {
	case away(err):
		return r.sign(tok, how, v, asked), nil
	case err != nil:
		return Joined{}, err
	case placing.State == queue.Refused:
		return Joined{}, ErrQueueFull
	}
	if placing.Fresh || tok.Joined.IsZero() {
		tok.Joined = r.Now().Truncate(time.Microsecond)
	}
	tok.Generation = placing.Generation
	switch {
	case placing.Score != 0:
		tok.Score = placing.Score
	case tok.Score == 0: // the reply that told the score was lost, and the turn has come
		tok.Score = max(v.Fronts[how.Tier], how.Tier.Base()+1)
	}
	return Joined{Token: tok, State: placing.State, Fresh: placing.Fresh, Position: placing.Position}, nil
}

// away says that Redis did not answer in time, as far as this call waited.
func away(err error) bool {
	return errors.Is(err, queue.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// rejoin answers a visitor who has a place with that place. It is put back if it
// was lost with Redis or swept while the fan was away: the token proves it, and
// the front has not passed it.
func (r *Room) rejoin(ctx context.Context, tok place.Token, how JoinOptions, v *View, asked time.Time) (Joined, error) {
	_, err := r.queue.Reenter(ctx, []queue.Place{{Visitor: tok.Visitor, Score: tok.Score}})
	switch {
	case away(err):
		return r.sign(tok, how, v, asked), nil
	case err != nil:
		return Joined{}, err
	}
	r.orphans.drop(tok.Visitor)
	tok.Generation = v.generation(tok.Visitor)
	return Joined{Token: tok, State: queue.Waiting}, nil
}

// Leave gives up a place or a turn.
func (r *Room) Leave(ctx context.Context, tok place.Token) error {
	r.orphans.drop(tok.Visitor)
	return r.queue.Leave(ctx, tok.Visitor)
}

// Claim is a turn taken.
type Claim struct {
	Issued  time.Time // Redis time; the pass is issued then
	Expires time.Time
	Again   bool      // it was claimed before; Expires is the same
	Began   time.Time // the session; Issued unless it was claimed before
}

// claimNear is how far behind the front this edge still asks Redis: the front it
// knows may be a tick old.
const claimNear = 1000

// Claim takes the turn of a place the front has reached. Besides the errors of
// queue.Claim it is ErrSoldOut when there is nothing left to claim for.
func (r *Room) Claim(ctx context.Context, tok place.Token) (Claim, error) {
	v := r.View()
	tok = r.drawn(tok)
	switch {
	case v.State == SoldOut:
		return Claim{}, ErrSoldOut
	case v.State == Closed:
		return Claim{}, ErrClosed
	case tok.Score == 0:
		return Claim{}, queue.ErrNotQueued
	case !v.Passed(tok.Score) && v.Position(tok.Score) > claimNear:
		return Claim{}, queue.ErrNotYet
	case r.usedUp(tok):
		_ = r.Release(ctx, tok.Visitor) // as was done before; else the session takes up a slot until it ends
		return Claim{}, queue.ErrTurnMissed
	}
	got, err := r.queue.Claim(ctx, tok.Visitor, queue.Vouch{})
	if errors.Is(err, queue.ErrNotQueued) && v.Passed(tok.Score) {
		err = queue.ErrTurnMissed // swept with the other unclaimed turns, or lost with Redis
		if vouch, ok := r.vouch(tok, v); ok {
			got, err = r.queue.Claim(ctx, tok.Visitor, vouch)
		} else if r.unheard() { // another edge has heard of a loss already
			err = fmt.Errorf("claiming before it is known what was lost: %w", queue.ErrUnavailable)
		}
	}
	if err != nil {
		return Claim{}, err
	}
	r.spent.note(tok.Visitor, got.At, v.Settings.ClaimWithin)
	return r.session(ctx, tok.Visitor, got), nil
}

// Release ends a session: its slot is free and its pass is revoked everywhere
// within a tick, here at once.
func (r *Room) Release(ctx context.Context, v place.Visitor) error {
	// By Redis' clock, like the time a pass was issued at. This edge's own idea of it
	// moves to and fro with every tick, and a pass given out just before would live on.
	at, err := r.queue.Release(ctx, v)
	if err != nil {
		return err
	}
	r.revoked.note(v, at)
	return nil
}

// Revoked says whether a pass issued then to the visitor has been ended.
func (r *Room) Revoked(visitor string, issued time.Time) bool {
	return r.revoked.has(visitor, issued)
}
