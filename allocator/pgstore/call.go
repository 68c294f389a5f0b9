package pgstore

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// repeats is how often a call is made again, after the first time.
	repeats = 3
	// emptyEvery bounds how often the pool is emptied: of many calls that lose their
	// connection in one moment, one is enough.
	emptyEvery = time.Second
)

// work is what a call does with a connection. It may be done more than once.
type work func(ctx context.Context, conn *pgxpool.Conn) error

// read gives work a connection for as long as the caller waits.
func (s *Store) read(ctx context.Context, doing string, do work) error {
	return s.repeat(ctx, doing, func() error {
		ctx, cancel := context.WithTimeout(ctx, s.callTimeout)
		defer cancel()
		return s.with(ctx, do)
	})
}

// write is read for work that changes something. Once it has begun it is not cut
// short when the caller goes away: that would not undo it, only leave in the dark
// whether it was done.
func (s *Store) write(ctx context.Context, doing string, do work) error {
	return s.repeat(ctx, doing, func() error {
		return s.with(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.callTimeout)
			defer cancel()
			return do(ctx, conn)
		})
	})
}

func (s *Store) with(ctx context.Context, do work) error {
	waiting, cancel := context.WithTimeout(ctx, s.acquireTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(waiting)
	if err != nil {
		return &acquireError{err}
	}
	defer conn.Release()
	return do(ctx, conn)
}

// repeat makes a call again when the database undid it because others were in the
// way, or when the connection was lost, so that nobody has to notice a restart of
// the server that is over.
func (s *Store) repeat(ctx context.Context, doing string, call func() error) error {
	for n := 1; ; n++ {
		err := call()
		switch what := judge(err); {
		case err == nil:
			return nil
		case what == lost:
			s.empty()
			fallthrough
		case what == undone:
			if n <= repeats && pause(ctx, n) {
				continue
			}
		}
		return failed(doing, err)
	}
}

// empty closes the connections that the pool has, when one turned out to be dead:
// the others have died with it.
func (s *Store) empty() {
	now, last := time.Now().UnixNano(), s.emptied.Load()
	if now-last > int64(emptyEvery) && s.emptied.CompareAndSwap(last, now) {
		s.pool.Reset()
	}
}

// pause waits a little, longer each time and never as long as anybody else does.
// It reports false if the caller has gone away meanwhile.
func pause(ctx context.Context, n int) bool {
	timer := time.NewTimer(time.Duration(n) * (5*time.Millisecond + rand.N(20*time.Millisecond)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
