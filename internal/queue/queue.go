// Package queue is one room's queue in Redis: who waits, in which order, who is
// admitted, and who is inside. It knows no HTTP and no Caddy.
//
// Every change is one script, so any number of edges may work on the same room
// at the same time: there is no leader and no lock. What must hold:
//
//	Q1  of two places that both stay, the lower score is admitted first
//	Q4  one visitor has one place, however often it asks
//	Q5  a queue that lost everything is filled again at the same scores
//	Q6  in any window, admissions ≤ rate × window + burst, and sessions ≤ the cap
//
// Work in Redis per second grows with the number of edges and of changes, never
// with the number of fans who wait.
package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/caddy-tickets/caddy-tickets/internal/board"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Answers that callers branch on.
var (
	// ErrUnavailable wraps whatever kept Redis from answering. Nothing is known
	// about whether the call had an effect; every call may be repeated.
	ErrUnavailable = errors.New("the queue is unreachable")
	ErrNotYet      = errors.New("not this visitor's turn yet")
	ErrTurnMissed  = errors.New("the turn was not claimed in time")
	ErrNotQueued   = errors.New("the visitor has no place in this queue")

	errReply = errors.New("a script replied what this version does not know")
)

// boardLife is how long a board is good for: edges that ask within it share one. Just
// below a second, so that an edge that asks each second does not get one twice.
const boardLife = 900 * time.Millisecond

// Queue is one room's queue. It is safe for concurrent use.
type Queue struct {
	rdb    redis.UniversalClient
	room   string
	joins  batcher
	shards atomic.Pointer[[]*shard]
	inside atomic.Int64             // turns and sessions of all shards, as of the last tick
	burst  atomic.Int64             // in force, as far as it is known
	rounds atomic.Int64             // the last one that this process knows of
	lives  atomic.Pointer[[]uint32] // generations of all shards, as of the last tick
	logged atomic.Pointer[head]     // where the log of orders ended, when it was last seen
}

// Open makes the queue of a room whose name rediskey.CheckName accepts. It
// dials nothing: a Redis that is away is found by the first call.
func Open(rdb redis.UniversalClient, room string) *Queue {
	q := &Queue{rdb: rdb, room: room}
	q.joins.run = q.JoinBatch
	q.Split(1)
	return q
}

// Board returns a picture of the order that is at most about a second old. The
// first edge to ask makes it, the others read what it made.
func (q *Queue) Board(ctx context.Context) (*board.Board, error) {
	boards := make([]*board.Board, q.Shards())
	err := q.each(func(i int, s *shard) error {
		raw, err := q.eval(ctx, boardScript, []string{s.keys.Queue, s.keys.Board}, boardLife.Milliseconds()).Text()
		if err != nil {
			return unavailable("reading the board", err)
		}
		if boards[i], err = board.Decode([]byte(raw)); err != nil {
			return fmt.Errorf("reading the board: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return board.Merge(boards...), nil
}

// Rank is the visitor's exact rank from 0, for support tools: it costs a call, and
// more for a room that is split.
func (q *Queue) Rank(ctx context.Context, v place.Visitor) (rank int, there bool, err error) {
	own, member := q.of(v), string(v[:])
	n, err := q.rdb.ZRank(ctx, own.keys.Queue, member).Result()
	if errors.Is(err, redis.Nil) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, unavailable("reading a rank", err)
	}
	if rank = int(n); q.Shards() == 1 {
		return rank, true, nil
	}
	score, err := q.rdb.ZScore(ctx, own.keys.Queue, member).Result()
	if err != nil {
		return 0, false, unavailable("reading a rank", err)
	}
	for _, other := range q.all() {
		if other == own {
			continue
		}
		before, err := q.rdb.ZCount(ctx, other.keys.Queue, "-inf", "("+strconv.FormatInt(int64(score), 10)).Result()
		if err != nil {
			return 0, false, unavailable("reading a rank", err)
		}
		rank += int(before)
	}
	return rank, true, nil
}

// each calls f for every part of the room, at the same time if there are several.
func (q *Queue) each(f func(i int, s *shard) error) error {
	all := q.all()
	if len(all) == 1 {
		return f(0, all[0])
	}
	var group errgroup.Group
	for i, s := range all {
		group.Go(func() error { return f(i, s) })
	}
	return group.Wait()
}

// unavailable keeps the caller's own cancellation apart from a Redis that is away.
func unavailable(doing string, err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
}
