package room

import (
	"context"
	"sync/atomic"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// ordersShown is how many of the last orders an operator sees at a glance.
const ordersShown = 10

// Orders are the last entries of the room's log, oldest first, and what is wrong with
// their chain.
type Orders struct {
	Records []queue.Record
	Faults  []string

	schedule map[string]string // of the config that was loaded last, anywhere
}

// orders keeps the last orders. They are read again when a tick tells that there was one,
// so looking at them costs nothing, and an edge that nobody orders anything asks once.
type orders struct {
	last     atomic.Pointer[Orders]
	read     bool // guarded by being touched by the tick alone, as are the next
	revision int64
	of       uint32 // generation
}

// Orders are the last orders, as this edge knows them.
func (r *Room) Orders() Orders {
	if o := r.orders.last.Load(); o != nil {
		return *o
	}
	return Orders{}
}

// Log is the whole log of orders.
func (r *Room) Log(ctx context.Context) (queue.Log, error) { return r.queue.Log(ctx, 0) }

// readOrders reads the last orders after a tick if there were others since.
func (r *Room) readOrders(ctx context.Context) {
	r.mu.Lock()
	revision, of := r.last.Revision, r.generations[0]
	r.mu.Unlock()
	if o := &r.orders; o.read && o.revision == revision && o.of == of {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tickTimeout)
	defer cancel()
	l, err := r.queue.Log(ctx, ordersShown)
	if err != nil {
		return // the tick tells about Redis; the next one reads
	}
	records, faults := l.Check()
	if len(faults) > 0 {
		r.log.Error("the log of orders was changed by somebody else; see caddy-tickets room log", "faults", faults)
	}
	r.orders.read, r.orders.revision, r.orders.of = true, revision, of
	r.orders.last.Store(&Orders{records, faults, l.Schedule})
}
