package room

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

// lostAnswers is a queue that gives places and is given up before it says so.
type lostAnswers struct {
	Queue
	clock *clock.Fake
}

func (q lostAnswers) Join(ctx context.Context, e queue.Entry) (queue.Placing, error) {
	_, _ = q.Queue.Join(ctx, e)
	q.clock.Advance(time.Second)
	return queue.Placing{}, queue.ErrUnavailable
}

// scoreInRedis is the visitor's; 0 if it does not wait.
func (e *edge) scoreInRedis(v place.Visitor) place.Score {
	score, err := e.redis.Client().ZScore(e.t.Context(), rediskey.For(e.name).Queue, string(v[:])).Result()
	if err != nil {
		return 0
	}
	return place.Score(score)
}

// holds ticks until the place is in the queue as it was signed.
func (e *edge) holds(tok place.Token) {
	e.t.Helper()
	e.until("the signed place is entered", func(*View) bool { return !e.orphans.any() })
	if got := e.scoreInRedis(tok.Visitor); got != tok.Score {
		e.t.Errorf("the place was signed with the score %d and is in Redis with %d", tok.Score, got)
	}
}

func TestQ5_APlaceWhoseAnswerWasLostIsEnteredAsItWasSigned(t *testing.T) {
	t.Parallel()
	e := paused(t)
	whole := e.queue
	e.queue = lostAnswers{whole, e.clock}
	tok := e.join(visitor(t))
	e.queue = whole
	e.holds(tok)
}

func TestQ5_AJoinThatRedisCarriesOutLaterMovesNobodyBack(t *testing.T) {
	t.Parallel()
	e := paused(t)
	e.redis.Pause()
	tok := e.join(visitor(t))
	e.redis.Resume() // which carries out what was given up
	e.holds(tok)
}
