package room

import (
	"sync"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// maxOrphans bounds the places kept for re-entry: 200,000 × about 60 B = 12 MB.
// Beyond it places are signed all the same, and entered when their fan is seen.
const maxOrphans = 200_000

// orphans are places signed here that Redis does not know yet.
type orphans struct {
	mu     sync.Mutex
	places map[place.Visitor]place.Score // guarded by mu
}

// score returns the place of a visitor: the one it has, or a new one. A visitor
// who asks twice during one outage gets one place (Q4).
func (o *orphans) score(v place.Visitor, fresh func() place.Score) (s place.Score, isNew bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s, ok := o.places[v]; ok {
		return s, false
	}
	s = fresh()
	if o.places == nil {
		o.places = make(map[place.Visitor]place.Score)
	}
	if len(o.places) < maxOrphans {
		o.places[v] = s
	}
	return s, true
}

func (o *orphans) any() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.places) > 0
}

func (o *orphans) drop(v place.Visitor) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.places, v)
}

// list copies the places.
func (o *orphans) list() []queue.Place {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := make([]queue.Place, 0, len(o.places))
	for v, s := range o.places {
		out = append(out, queue.Place{Visitor: v, Score: s})
	}
	return out
}

// settle forgets places that are in Redis now.
func (o *orphans) settle(places []queue.Place) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range places {
		delete(o.places, p.Visitor)
	}
	if len(o.places) == 0 {
		o.places = nil // a map never shrinks
	}
}
