// Package mapfan shows one live map to many viewers: in the allocator, which makes
// the map, and at the edge, which follows the allocator's.
//
// A channel keeps the map and its recent history, and gives every viewer the
// shortest way to the present: nothing, a delta, or the whole map. Each frame is
// made once and shared by all. What must hold: no viewer waits for another (one who
// is too slow is dropped, and comes back with the version it has), and memory is
// bounded by the number of viewers, not by how slow they are.
package mapfan

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
	"github.com/caddy-tickets/caddy-tickets/internal/problem"
)

const (
	// historyChanges is how much a viewer may have missed and still catch up by a
	// delta: beyond it a snapshot of 50,000 cells (12 KB) is not much longer.
	historyChanges = 10_000
	// queueLength is how many frames a viewer may be behind: at ten ticks a second
	// three seconds and some.
	queueLength = 32
)

// Channel is one map and its viewers. Safe for concurrent use.
type Channel struct {
	limit int

	mu       sync.Mutex
	state    *mapframe.Map // nil until Reset
	lost     bool          // deltas are missing: the map is shown as it was until Reset
	history  *mapframe.History
	snapshot []byte // frame of version encoded; nil if it has to be made
	encoded  mapframe.Version
	counts   []byte // JSON
	viewers  map[*viewer]struct{}
	closed   bool
	refused  uint64 // viewers there was no room for
	slow     uint64 // viewers that were dropped
}

// viewer is one stream. frames is closed to end it.
type viewer struct {
	frames chan []byte
	slow   bool // guarded by Channel.mu: it was dropped for being slow
}

// New returns an empty channel for at most so many viewers.
func New(viewers int) *Channel {
	return &Channel{limit: viewers, history: mapframe.NewHistory(historyChanges), viewers: make(map[*viewer]struct{})}
}

// At is the version from which the map can be taken on; false if only Reset can.
func (c *Channel) At() (mapframe.Version, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == nil || c.lost {
		return mapframe.Version{}, false
	}
	return c.state.At(), true
}

// Reset takes a whole map and shows it to everybody.
func (c *Channel) Reset(s mapframe.Snapshot) error {
	state, err := mapframe.NewMap(s)
	if err != nil {
		return fmt.Errorf("taking a snapshot: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.lost, c.history, c.snapshot = state, false, mapframe.NewHistory(historyChanges), nil
	c.broadcast(c.snapshotLocked())
	return nil
}

// Apply takes the map on. After an error it stays as it was, for those who look at
// it, until Reset.
func (c *Channel) Apply(d mapframe.Delta) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == nil || c.lost {
		return mapframe.ErrGap
	}
	if err := c.state.Apply(d); err != nil {
		c.lost = true
		return fmt.Errorf("applying a delta: %w", err)
	}
	if len(d.Changes) == 0 && d.From == d.To {
		return nil
	}
	c.history.Add(d)
	c.broadcast(mapframe.AppendDelta(nil, d))
	return nil
}

// SetCounts takes the summary document, and shows it if it changed.
func (c *Channel) SetCounts(document []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Equal(document, c.counts) {
		return
	}
	c.counts = document
	c.broadcast(mapframe.AppendCounts(nil, document))
}

// Counts is the last summary document, nil before the first. Not to be changed.
func (c *Channel) Counts() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// Ready says whether there is a map with its counts.
func (c *Channel) Ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state != nil && c.counts != nil
}

// Snapshot is the frame of the map as it is, and its version; false while there is
// none. Not to be changed.
func (c *Channel) Snapshot() ([]byte, mapframe.Version, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == nil {
		return nil, mapframe.Version{}, false
	}
	return c.snapshotLocked(), c.encoded, true
}

// snapshotLocked is made once a version.
func (c *Channel) snapshotLocked() []byte {
	if at := c.state.At(); c.snapshot == nil || c.encoded != at {
		c.snapshot, c.encoded = mapframe.AppendSnapshot(nil, c.state.Snapshot()), at
	}
	return c.snapshot
}

// Viewers is how many there are.
func (c *Channel) Viewers() int { return c.Stats().Viewers }

// Stats are a channel's figures, for metrics.
type Stats struct {
	Viewers int    // open streams
	Refused uint64 // viewers there was no room for
	Slow    uint64 // viewers that were dropped because they did not keep up
}

// Stats are the figures as they are now.
func (c *Channel) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{Viewers: len(c.viewers), Refused: c.refused, Slow: c.slow}
}

// Close ends all streams and takes no more.
func (c *Channel) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for v := range c.viewers {
		c.removeLocked(v)
	}
}

// join adds a viewer whose first frames take it from the version it has to the
// present, or says why not.
func (c *Channel) join(from *mapframe.Version) (*viewer, *problem.Problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || c.state == nil:
		return nil, ProblemUnavailable
	case len(c.viewers) >= c.limit:
		c.refused++
		return nil, problemFull
	}
	v := &viewer{frames: make(chan []byte, queueLength)}
	v.frames <- c.catchUpLocked(from)
	if c.counts != nil {
		v.frames <- mapframe.AppendCounts(nil, c.counts)
	}
	c.viewers[v] = struct{}{}
	return v, nil
}

// catchUpLocked is the shortest frame that leads to the present.
func (c *Channel) catchUpLocked(from *mapframe.Version) []byte {
	if from != nil {
		if *from == c.state.At() {
			return mapframe.AppendDelta(nil, mapframe.Delta{Epoch: from.Epoch, From: from.Ver, To: from.Ver})
		}
		if d, ok := c.history.Since(*from); ok {
			return mapframe.AppendDelta(nil, d)
		}
	}
	return c.snapshotLocked()
}

// leave removes a viewer. Leaving twice, or after being dropped, does nothing.
func (c *Channel) leave(v *viewer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(v)
}

func (c *Channel) removeLocked(v *viewer) {
	if _, here := c.viewers[v]; here {
		delete(c.viewers, v)
		close(v.frames)
	}
}

// broadcast queues one frame, shared by all, without ever waiting for anybody.
// Called with c.mu held.
func (c *Channel) broadcast(frame []byte) {
	for v := range c.viewers {
		select {
		case v.frames <- frame:
		default:
			v.slow = true
			c.slow++
			c.removeLocked(v)
		}
	}
}

func (c *Channel) wasSlow(v *viewer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return v.slow
}
