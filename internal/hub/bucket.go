package hub

import (
	"math"
	"sync"
)

// wheelSize is the number of steps in one pace: a fan belongs to one bucket and
// gets a line when its step comes, so writes are spread evenly over the pace.
const wheelSize = 100

// sink is where a line goes. All methods are called with the bucket locked.
type sink interface {
	// send writes a whole line without waiting, or fails.
	send(line []byte) error
	// close ends the connection.
	close()
}

// slot is one waiting connection: 40 bytes, and 8 for its score beside it.
type slot struct {
	to      sink
	visitor [16]byte
	shown   uint32
}

// bucket is a part of the fans. Scores have an array of their own, so that
// looking for those the front has passed reads 8 bytes a fan.
type bucket struct {
	mu     sync.Mutex
	lowest uint64 // no score here is below it; guarded by mu
	scores []uint64
	slots  []slot
}

func (b *bucket) addLocked(fan Fan, to sink) {
	if len(b.slots) == 0 || fan.Score < b.lowest {
		b.lowest = fan.Score
	}
	b.scores = append(b.scores, fan.Score)
	b.slots = append(b.slots, slot{to: to, visitor: fan.Visitor, shown: fan.Shown})
}

// removeLocked takes out slot i; the last one takes its index.
func (b *bucket) removeLocked(i int) {
	end := len(b.slots) - 1
	b.slots[i], b.scores[i] = b.slots[end], b.scores[end]
	b.slots[end] = slot{} // the connection must not be kept alive from here
	b.slots, b.scores = b.slots[:end], b.scores[:end]
	if end == 0 { // after the sale the arrays go back too
		b.slots, b.scores = nil, nil
	}
}

// remove takes out the slot of one sink, if it is still there.
func (b *bucket) remove(to sink) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.slots {
		if b.slots[i].to == to {
			b.removeLocked(i)
			return true
		}
	}
	return false
}

// eachLocked calls f for every fan at or below limit; f says whether to keep it.
func (b *bucket) eachLocked(limit uint64, f func(fan Fan, s *slot) (keep bool)) {
	if len(b.slots) == 0 || b.lowest > limit {
		return
	}
	lowest := uint64(math.MaxUint64)
	for i := 0; i < len(b.slots); {
		score, s := b.scores[i], &b.slots[i]
		if score <= limit && !f(Fan{Visitor: s.visitor, Score: score, Shown: s.shown}, s) {
			b.removeLocked(i)
			continue
		}
		lowest = min(lowest, score)
		i++
	}
	b.lowest = lowest
}
