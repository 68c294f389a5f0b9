package room

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

const (
	reentryEvery   = 100 * time.Millisecond
	reentryBatch   = 512
	reentryTimeout = 2 * time.Second
)

// sign gives a place while Redis is away: by this edge's clock as Redis last
// corrected it, so that it falls among the places Redis gives before and after.
// Its generation is 0, which makes every edge enter it on sight.
//
// The place is of the time at which the fan asked, not at which Redis was given up: that
// call may be carried out all the same, and then Redis has given a place as well. It is
// the later one, so entering the signed one makes it that (see reenter.lua).
func (r *Room) sign(tok place.Token, how JoinOptions, v *View, asked time.Time) Joined {
	if tok.Score != 0 { // the place it has is as good as any that could be signed
		return Joined{Token: tok, State: queue.Waiting}
	}
	score, fresh := r.orphans.score(tok.Visitor, func() place.Score {
		if r.lobbyOf(v) != 0 {
			return how.Tier.Undrawn()
		}
		return how.Tier.Base() + r.nextScore(place.LiveScore(asked))
	})
	tok.Score, tok.Joined, tok.Generation = score, asked.Truncate(time.Microsecond), 0
	return Joined{Token: tok, State: queue.Waiting, Fresh: fresh}
}

// nextScore makes scores strictly increasing on this edge.
func (r *Room) nextScore(s place.Score) place.Score {
	for {
		last := r.lastScore.Load()
		next := max(uint64(s), last+1)
		if r.lastScore.CompareAndSwap(last, next) {
			return place.Score(next)
		}
	}
}

// foreign says that Redis, as it is now, may not know the place: it was signed
// during an outage, or entered in a queue that has been lost since.
func (r *Room) foreign(tok place.Token, v *View) bool {
	now := v.generation(tok.Visitor)
	return tok.Score != 0 && now != 0 && tok.Generation != now
}

// Refreshed is a token after a look.
type Refreshed struct {
	Token   place.Token
	Changed bool // Token is to be set in the cookie
	Spent   bool // the front is past the place, so it cannot be entered again
}

// Refresh is to be called with every token that comes in with a place. It enters
// a place that Redis may not know, at its old score, and costs nothing
// otherwise. When Redis is away the token comes back as it was.
func (r *Room) Refresh(ctx context.Context, tok place.Token) (Refreshed, error) {
	v, as := r.View(), tok
	tok = r.drawn(tok)
	if !r.foreign(tok, v) || v.Degraded {
		return Refreshed{Token: tok, Changed: tok != as}, nil
	}
	if v.Passed(tok.Score) {
		return Refreshed{Token: tok, Changed: tok != as, Spent: true}, nil
	}
	// Zero entered also means that Redis knows the place, or its turn has just come.
	_, err := r.queue.Reenter(ctx, []queue.Place{{Visitor: tok.Visitor, Score: tok.Score}})
	if err != nil {
		return Refreshed{Token: tok, Changed: tok != as}, err
	}
	r.orphans.drop(tok.Visitor)
	tok.Generation = v.generation(tok.Visitor)
	return Refreshed{Token: tok, Changed: true}, nil
}

// reenterDue brings back all places this edge knows of: those it signed while
// Redis was away and those of the fans who are connected here. Until it is done
// this edge admits nobody. It runs beside the tick, which must not wait for it.
func (r *Room) reenterDue(ctx context.Context) {
	r.mu.Lock()
	due, generations := r.reentryDue && r.failures == 0, r.generations
	r.mu.Unlock()
	if !due {
		return
	}
	if !r.useAgain(ctx) {
		return // the next turn tries again; what is in already stays
	}
	signed := r.orphans.list()
	for i := range signed {
		signed[i] = r.placeOf(signed[i].Visitor, signed[i].Score)
	}
	if !r.reenterAll(ctx, signed) {
		return
	}
	r.orphans.settle(signed)
	for i := range r.hub.Parts() {
		fans := r.hub.Part(i)
		places := make([]queue.Place, 0, len(fans))
		for _, f := range fans {
			places = append(places, r.placeOf(f.Visitor, place.Score(f.Score)))
		}
		if !r.reenterAll(ctx, places) {
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(r.generations, generations) { // else it was lost again meanwhile
		r.reentryDue = false
	}
}

func (r *Room) reenterAll(ctx context.Context, places []queue.Place) bool {
	for batch := range slices.Chunk(places, reentryBatch) {
		call, cancel := context.WithTimeout(ctx, reentryTimeout)
		_, err := r.queue.Reenter(call, batch)
		cancel()
		if err != nil {
			return false
		}
	}
	return true
}
