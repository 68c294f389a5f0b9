package room

import (
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// revocations are the sessions that were ended before their pass ran out. Looked
// at with every request of a pass-holder, so it is a map in memory: 2,000
// sessions of 10 minutes, each ended early, are 12,000 entries an hour.
type revocations struct {
	mu     sync.RWMutex
	ended  map[string]time.Time // by visitor; guarded by mu
	newest int64                // what the next tick asks from; guarded by mu
	swept  time.Time            // guarded by mu
}

func (r *revocations) since() int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.newest
}

// note ends every pass of the visitor issued up to at.
func (r *revocations) note(v place.Visitor, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noteLocked(v, at)
}

func (r *revocations) noteLocked(v place.Visitor, at time.Time) {
	if r.ended == nil {
		r.ended = make(map[string]time.Time)
	}
	if id := v.String(); r.ended[id].Before(at) {
		r.ended[id] = at
	}
}

// add takes in what a tick says, and forgets what no living pass can be older than.
func (r *revocations) add(list []queue.Revocation, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range list {
		r.noteLocked(one.Visitor, one.At)
		r.newest = max(r.newest, one.At.UnixMilli())
	}
	if now.Sub(r.swept) < time.Minute {
		return
	}
	r.swept = now
	for id, at := range r.ended {
		if now.Sub(at) > pass.MaxLife {
			delete(r.ended, id)
		}
	}
}

func (r *revocations) has(visitor string, issued time.Time) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	at, ok := r.ended[visitor]
	return ok && !issued.After(at)
}

// usedUp says that the place led to a session that was ended, by the word of this edge
// and not of Redis: one that came back as it was some time ago has the session, or the
// turn before it, once more.
func (r *Room) usedUp(tok place.Token) bool {
	joined := place.LiveTime(tok.Score) // Redis' clock, which ended the session too
	if joined.IsZero() {
		joined = tok.Joined
	}
	r.mu.Lock()
	lost := r.lostAt
	r.mu.Unlock()
	ended := r.revoked.at(tok.Visitor)
	return joined.Before(ended) && ended.Before(lost)
}

// at is when the visitor's last session was ended early; zero if none was.
func (r *revocations) at(v place.Visitor) time.Time {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.ended[v.String()]
}
