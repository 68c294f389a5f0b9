package velocity

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	shards = 64
	// shardKeys bounds a shard: 64 × 4096 keys of 16 bytes are 4 MB, some 8 with
	// the maps' own room, however many keys come (1,000,000 a minute in the test).
	shardKeys = 4096
	// looks is how many keys of a full shard are compared when one has to go.
	looks = 8
)

// limit is a rule in the terms of GCRA: each act takes interval, and as much
// as a window may be taken ahead.
type limit struct {
	interval time.Duration
	window   time.Duration
}

func newLimit(count int, window time.Duration) limit {
	return limit{interval: max(window/time.Duration(count), 1), window: window}
}

// table counts in this process, by the generic cell rate algorithm: one time per
// key, at which the key's credit would be whole again.
type table struct {
	seed   maphash.Seed // random, so nobody can aim at a shard or at another's key
	shards [shards]shard
}

type shard struct {
	mu    sync.Mutex
	whole map[uint64]int64 // by hash of rule and key; unix nanoseconds
	_     [48]byte         // no two locks in one cache line
}

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].whole = make(map[uint64]int64)
	}
	return t
}

// take counts one act; if the key has no credit, it says for how long and counts nothing.
func (t *table) take(rule, key string, now time.Time, l limit) (wait time.Duration) {
	var h maphash.Hash
	h.SetSeed(t.seed)
	_, _ = h.WriteString(rule) // a hash does not fail
	_ = h.WriteByte(0)
	_, _ = h.WriteString(key)
	id := h.Sum64()
	s := &t.shards[id%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take(id, now.UnixNano(), l)
}

// take is called with s.mu held.
func (s *shard) take(id uint64, now int64, l limit) (wait time.Duration) {
	whole, known := s.whole[id]
	next := max(whole, now) + int64(l.interval)
	if ahead := time.Duration(next - now); ahead > l.window {
		return ahead - l.window
	}
	if !known && len(s.whole) >= shardKeys {
		s.makeRoom(now)
	}
	s.whole[id] = next
	return 0
}

// makeRoom forgets every key it looks at that has its whole credit, and if there
// is none, the one nearest to it: what is lost is the least there is to lose.
func (s *shard) makeRoom(now int64) {
	var nearest uint64
	least, seen := int64(0), 0
	for id, whole := range s.whole { // begins anywhere
		if whole <= now {
			delete(s.whole, id)
		} else if least == 0 || whole < least {
			nearest, least = id, whole
		}
		if seen++; seen == looks {
			break
		}
	}
	if len(s.whole) >= shardKeys {
		delete(s.whole, nearest)
	}
}

func (t *table) len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.whole)
		s.mu.Unlock()
	}
	return n
}
