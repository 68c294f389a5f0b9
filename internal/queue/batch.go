package queue

import (
	"context"
	"sync"
	"time"
)

const (
	// batchWait is how long the first of a batch waits for company: a wait that no
	// fan notices, and 500 calls a second and edge at the most.
	batchWait = 2 * time.Millisecond
	// batchTimeout ends a batch whose Redis does not answer.
	batchTimeout = 2 * time.Second
)

// batcher gathers entries that come at the same time into one call. Its zero
// value with run set is ready.
type batcher struct {
	run func(context.Context, []Entry) ([]Placing, error)

	mu   sync.Mutex
	open *batch // gathering; nil if there is none
}

// batch is one call to be. Its results may be read once done is closed.
type batch struct {
	entries  []Entry
	done     chan struct{}
	placings []Placing
	err      error
}

// join puts e into the open batch and waits for its end or ctx's. A caller
// that gives up takes nothing away from the others.
func (b *batcher) join(ctx context.Context, e Entry) (Placing, error) {
	b.mu.Lock()
	if b.open == nil {
		b.open = &batch{done: make(chan struct{})}
		opened := b.open
		time.AfterFunc(batchWait, func() { b.timeIsUp(opened) })
	}
	mine, i := b.open, len(b.open.entries)
	mine.entries = append(mine.entries, e)
	if len(mine.entries) == MaxBatch {
		b.open = nil
		go mine.send(b.run)
	}
	b.mu.Unlock()
	select {
	case <-mine.done:
		if mine.err != nil {
			return Placing{}, mine.err
		}
		return mine.placings[i], nil
	case <-ctx.Done():
		return Placing{}, ctx.Err()
	}
}

// timeIsUp sends a batch that has not filled up.
func (b *batcher) timeIsUp(waited *batch) {
	b.mu.Lock()
	still := b.open == waited
	if still {
		b.open = nil
	}
	b.mu.Unlock()
	if still {
		waited.send(b.run)
	}
}

// send makes the call. Its context is nobody's, since it is for all of them.
func (b *batch) send(run func(context.Context, []Entry) ([]Placing, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	b.placings, b.err = run(ctx, b.entries)
	close(b.done)
}
