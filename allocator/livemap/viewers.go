package livemap

import "github.com/caddy-tickets/caddy-tickets/internal/mapframe"

// queueLength is how many frames a viewer may be behind: at ten ticks a second
// three seconds and some. Who falls further behind is dropped and comes back
// with from=, which is cheaper than a queue for everybody who is slow.
const queueLength = 32

// viewer is one stream. frames is closed to end it.
type viewer struct {
	frames chan []byte
	slow   bool // guarded by feed.mu: it was dropped for being slow
}

// join adds a viewer whose first frames take it from the version it has to the
// present, or reports that there is no room.
func (f *feed) join(from *mapframe.Version) (*viewer, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.viewers) >= f.maps.settings.Viewers || f.maps.ctx.Err() != nil {
		return nil, false
	}
	v := &viewer{frames: make(chan []byte, queueLength)}
	v.frames <- f.catchUpLocked(from)
	v.frames <- mapframe.AppendCounts(nil, f.summary)
	f.viewers[v] = struct{}{}
	return v, true
}

// catchUpLocked is the shortest frame that leads to the present.
func (f *feed) catchUpLocked(from *mapframe.Version) []byte {
	if from != nil {
		if *from == f.state.At() {
			return mapframe.AppendDelta(nil, mapframe.Delta{Epoch: from.Epoch, From: from.Ver, To: from.Ver})
		}
		if d, ok := f.history.Since(*from); ok {
			return mapframe.AppendDelta(nil, d)
		}
	}
	return f.snapshotLocked()
}

// leave removes a viewer. Leaving twice, or after being dropped, does nothing.
func (f *feed) leave(v *viewer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removeLocked(v)
}

func (f *feed) removeLocked(v *viewer) {
	if _, here := f.viewers[v]; here {
		delete(f.viewers, v)
		close(v.frames)
	}
}

// broadcast queues one frame, shared by all, without ever waiting for anybody.
// Called with f.mu held.
func (f *feed) broadcast(frame []byte) {
	for v := range f.viewers {
		select {
		case v.frames <- frame:
		default:
			v.slow = true
			f.removeLocked(v)
		}
	}
}

func (f *feed) dropAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for v := range f.viewers {
		f.removeLocked(v)
	}
}

func (f *feed) viewerCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.viewers)
}

func (f *feed) wasSlow(v *viewer) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return v.slow
}
