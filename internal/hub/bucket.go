package hub

import "sync"

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
	scores []uint64 // guarded by mu, as are the slots
	slots  []slot
}

func (b *bucket) addLocked(fan Fan, to sink) {
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

// eachLocked calls f for every fan whose score is due (nil: for everybody); f says
// whether to keep it.
func (b *bucket) eachLocked(due func(score uint64) bool, f func(fan Fan, s *slot) (keep bool)) {
	for i := 0; i < len(b.slots); {
		score, s := b.scores[i], &b.slots[i]
		if (due == nil || due(score)) && !f(Fan{Visitor: s.visitor, Score: score, Shown: s.shown}, s) {
			b.removeLocked(i)
			continue
		}
		i++
	}
}

func (b *bucket) rescore(score func(visitor [16]byte, old uint64) uint64) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.slots {
		old := b.scores[i]
		if b.scores[i] = score(b.slots[i].visitor, old); b.scores[i] == old {
			continue
		}
		changed = true
		if stream, ok := b.slots[i].to.(*stream); ok {
			stream.score.Store(b.scores[i])
		}
	}
	return changed
}
