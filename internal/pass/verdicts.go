package pass

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	verdictLife = 30 * time.Second

	// 64 shards of 512: 32,768 good verdicts at about 400 B are 13 MB at most.
	// Sharding keeps the lock out of the way of many cores.
	verdictShards   = 64
	verdictsPerPart = 512
)

type verdictKey [sha256.Size]byte

// verdicts remembers good verdicts. When a shard is full an arbitrary one goes:
// the worst case is one more signature check, which is not worth an LRU list.
type verdicts struct {
	shards [verdictShards]verdictShard
}

type verdictShard struct {
	mu   sync.RWMutex
	seen map[verdictKey]verdict // guarded by mu
}

type verdict struct {
	claims Claims
	until  time.Time
}

func newVerdicts() *verdicts {
	v := &verdicts{}
	for i := range v.shards {
		v.shards[i].seen = make(map[verdictKey]verdict)
	}
	return v
}

// get finds a verdict for this audience that still stands at now.
func (v *verdicts) get(key verdictKey, audience string, now time.Time) (Claims, bool) {
	s := v.shard(key)
	s.mu.RLock()
	found, ok := s.seen[key]
	s.mu.RUnlock()
	if !ok || found.claims.Room != audience || !now.Before(found.until) {
		return Claims{}, false
	}
	return found.claims, true
}

func (v *verdicts) put(key verdictKey, c Claims, now time.Time) {
	until := now.Add(verdictLife)
	if c.Expires.Before(until) {
		until = c.Expires
	}
	s := v.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.seen[key]; !known && len(s.seen) >= verdictsPerPart {
		s.makeRoomLocked(now)
	}
	s.seen[key] = verdict{claims: c, until: until}
}

// makeRoomLocked drops what has run out among a few arbitrary entries, and one
// entry in any case.
func (s *verdictShard) makeRoomLocked(now time.Time) {
	const looked = 16
	n := 0
	for key, found := range s.seen {
		if n == 0 || !now.Before(found.until) {
			delete(s.seen, key)
		}
		if n++; n == looked {
			return
		}
	}
}

// shard is chosen by the hash itself, which nobody can steer cheaply.
func (v *verdicts) shard(key verdictKey) *verdictShard {
	return &v.shards[key[0]%verdictShards]
}
