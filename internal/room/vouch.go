package room

import (
	"context"
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// What Redis alone knows of those who are past the queue is lost with it: whose turn
// it is, and who is inside. This edge remembers enough to put that right.
//
// A turn that was lost is claimed on the edge's word: it knows when the front passed
// the place, and that the place was not claimed here. A fan who had claimed it at
// another edge, a moment before the loss, may so get a second pass of the same visitor;
// holds, bookings and the cap go by visitor, so it buys nothing.

// passed remembers where the fronts were when, for as long as a turn lasts. The first
// move is where they were before that: who had passed then did so nobody knows when.
type passed struct{ moves []move }

type move struct {
	at     time.Time // Redis time
	fronts place.Fronts
}

// note takes in that the fronts have moved. Ticks come four times a second, so two
// minutes are 480 moves of 88 bytes.
func (p *passed) note(at time.Time, fronts place.Fronts, keep time.Duration) {
	first := 0
	for first+1 < len(p.moves) && at.Sub(p.moves[first+1].at) > keep {
		first++
	}
	p.moves = append(p.moves[first:], move{at, fronts})
}

// when says when a place had its turn; false if that is too long ago to be known.
func (p *passed) when(s place.Score) (time.Time, bool) {
	for i := range p.moves {
		if p.moves[i].fronts.Passed(s) {
			return p.moves[i].at, i > 0
		}
	}
	return time.Time{}, false
}

// vouch gives this edge's word for a turn that Redis has lost.
func (r *Room) vouch(tok place.Token, v *View) (queue.Vouch, bool) {
	r.mu.Lock()
	at, known := r.passed.when(tok.Score)
	lost := r.lostAt
	r.mu.Unlock()
	missed := known && lost.Sub(at) > v.Settings.ClaimWithin
	if !known || missed || !at.Before(lost) || r.spent.has(tok.Visitor) {
		return queue.Vouch{}, false
	}
	// Nobody could claim while Redis was away, so the time begins with its return.
	return queue.Vouch{Until: lost.Add(v.Settings.ClaimWithin), Session: v.Settings.Session}, true
}

// unheard says that Redis did not answer this edge's last tick. After a failover that
// lost something, others may hear of it first, and claims reach Redis before a tick does.
func (r *Room) unheard() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures > 0
}

// spent remembers who claimed a turn here, for as long as it could be vouched for.
type spent struct {
	mu     sync.Mutex
	claims map[place.Visitor]time.Time // guarded by mu
	swept  time.Time                   // guarded by mu
}

func (s *spent) note(v place.Visitor, at time.Time, keep time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims == nil {
		s.claims = make(map[place.Visitor]time.Time)
	}
	if len(s.claims) < maxLiveness {
		s.claims[v] = at
	}
	if at.Sub(s.swept) < keep {
		return
	}
	s.swept = at
	for v, claimed := range s.claims {
		if at.Sub(claimed) > 2*keep {
			delete(s.claims, v)
		}
	}
}

func (s *spent) has(v place.Visitor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.claims[v]
	return ok
}

// sessions are those of passes that are older than what Redis knows, to be counted
// again: without them more than the cap would be inside (Q6).
type sessions struct {
	mu    sync.Mutex
	told  map[place.Visitor]time.Time // when the session ends; guarded by mu, as is all below
	due   []queue.Session
	swept time.Time
}

// Inside notes that somebody with a pass is here. It costs nothing but where Redis
// has lost its data since the pass was issued, and there one call for many.
func (r *Room) Inside(visitor string, issued, expires time.Time) {
	v := r.View()
	if len(v.Generations) == 0 {
		return
	}
	id, err := place.ParseVisitor(visitor)
	if err != nil || issued.Unix() >= int64(v.generation(id)) {
		return
	}
	s := &r.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[id].Equal(expires) || len(s.due) >= maxLiveness {
		return
	}
	if s.told == nil {
		s.told = make(map[place.Visitor]time.Time)
	}
	s.told[id] = expires
	s.due = append(s.due, queue.Session{Visitor: id, Expires: expires})
}

// forget makes everybody be told again: what was told is lost.
func (s *sessions) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.told)
}

func (s *sessions) take(now time.Time) []queue.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := s.due
	s.due = nil
	if now.Sub(s.swept) > time.Minute {
		s.swept = now
		for v, ends := range s.told {
			if !now.Before(ends) {
				delete(s.told, v)
			}
		}
	}
	return due
}

func (r *Room) flushSessions(ctx context.Context) {
	due := r.sessions.take(r.Now())
	if len(due) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, livenessTimeout)
	defer cancel()
	if r.queue.ResumeSessions(ctx, due) != nil {
		r.sessions.forget() // their next requests tell again
	}
}
