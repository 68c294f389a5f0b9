package hub

import "sync"

const (
	presenceShards = 64
	maxCount       = 255 // a count is one byte
)

// presence counts each visitor's connections here, so that a fan who closes one
// of two tabs has not left, and one stolen token cannot take all the room. It
// costs about 30 bytes a fan.
type presence struct {
	shards [presenceShards]presenceShard
}

type presenceShard struct {
	mu    sync.Mutex
	count map[[16]byte]uint8 // guarded by mu
}

func (p *presence) init() {
	for i := range p.shards {
		p.shards[i].count = make(map[[16]byte]uint8)
	}
}

// add counts one more connection unless there are limit of them.
func (p *presence) add(visitor [16]byte, limit int) bool {
	s := p.shard(visitor)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.count[visitor]
	if int(n) >= limit {
		return false
	}
	s.count[visitor] = n + 1
	return true
}

// remove counts one connection less and reports whether it was the last.
func (p *presence) remove(visitor [16]byte) (last bool) {
	s := p.shard(visitor)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.count[visitor]; n > 1 {
		s.count[visitor] = n - 1
		return false
	}
	delete(s.count, visitor)
	return true
}

func (p *presence) has(visitor [16]byte) bool {
	s := p.shard(visitor)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[visitor] > 0
}

// shard uses the visitor's own random bits.
func (p *presence) shard(visitor [16]byte) *presenceShard {
	return &p.shards[visitor[0]%presenceShards]
}

// Has says whether the visitor has a connection here.
func (h *Hub) Has(visitor [16]byte) bool { return h.present.has(visitor) }

// Parts is the number of parts that Part knows.
func (h *Hub) Parts() int { return wheelSize }

// Part copies the fans of one part, so that all of them can be gone through
// without stopping the hub. A fan is in one part as long as it is connected.
func (h *Hub) Part(i int) []Fan {
	b := &h.wheel[i]
	b.mu.Lock()
	defer b.mu.Unlock()
	fans := make([]Fan, 0, len(b.slots))
	for j := range b.slots {
		fans = append(fans, Fan{Visitor: b.slots[j].visitor, Score: b.scores[j], Shown: b.slots[j].shown})
	}
	return fans
}
