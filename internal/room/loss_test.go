package room

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// A place that was spent long ago must not be good again because Redis lost who spent it.
func TestNobodyIsVouchedForWhoseTurnWasLongAgo(t *testing.T) {
	var p passed
	at := time.Now()
	const keep = 2 * time.Minute
	for i := range 1000 { // five minutes and more, of fans who are let in one by one
		p.note(at.Add(time.Duration(i)*300*time.Millisecond), place.Fronts{place.Score(1000 + i)}, keep)
	}
	now := at.Add(999 * 300 * time.Millisecond)
	if when, known := p.when(1000); known && now.Sub(when) <= keep {
		t.Fatalf("a turn of five minutes ago counts as one of %v ago", now.Sub(when))
	}
	if when, known := p.when(1990); !known || now.Sub(when) > 4*time.Second {
		t.Fatalf("a turn of three seconds ago: %v ago, known %v", now.Sub(when), known)
	}
	if n := len(p.moves); n > 500 {
		t.Fatalf("%d moves are kept", n)
	}
}

func TestAnEdgeVouchesForNobodyWhoseTurnWasBeforeItStarted(t *testing.T) {
	t.Parallel()
	first := openEdge(t, usual())
	fans := first.crowd(2)
	first.until("both had their turn", func(v *View) bool { return v.Passed(fans[1].Score) })
	for _, f := range fans {
		if _, err := first.Claim(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	e := newEdge(t, first.redis, usual())
	e.tick(t.Context())
	e.lose()
	e.recover()
	if _, err := e.Claim(t.Context(), fans[0]); !errors.Is(err, queue.ErrTurnMissed) {
		t.Fatalf("a place that was spent before this edge was there: %v", err)
	}
}

func (e *edge) flush() {
	e.t.Helper()
	e.age()
	before := e.View().Generations[0]
	if err := e.redis.Client().FlushAll(e.t.Context()).Err(); err != nil {
		e.t.Fatal(err)
	}
	e.until("the loss is known", func(v *View) bool { return v.Generations[0] != before })
}

func TestQ6_SessionsCountAgainAfterEveryLoss(t *testing.T) {
	t.Parallel()
	e := openEdge(t, usual())
	inside := e.join(visitor(t))
	e.admissions([]place.Token{inside})
	issued, expires := e.Now().Add(-time.Minute), e.Now().Add(time.Minute)
	for range 2 {
		e.flush()
		e.Inside(inside.Visitor.String(), issued, expires)
		e.until("the session is counted", func(v *View) bool { return v.Active == 1 })
	}
}

// An edge may be started again by what took Redis away, and then knows of no loss.
func TestQ5_AnEdgeThatStartsIntoALossAdmitsNobodyBeforeTheOthersAreDone(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Settle = time.Hour
	e := openEdge(t, cfg)
	e.flush()
	quick := e.join(visitor(t))
	started := newEdge(t, e.redis, cfg)
	for range 5 {
		started.tick(t.Context())
		e.tick(t.Context())
	}
	if v := started.View(); v.AdmittedTotal != 0 || v.Passed(quick.Score) {
		t.Fatalf("it let somebody in past those who are not back yet: %+v", v)
	}
}

// Likewise where it is the first to find Redis empty.
func TestQ5_AnEdgeThatStartsBeforeTheOthersKnowOfALossStopsWithThem(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Settle = time.Hour
	e := openEdge(t, cfg)
	e.age()
	if err := e.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	started := newEdge(t, e.redis, cfg)
	started.tick(t.Context())
	e.tick(t.Context())
	if _, err := e.Join(t.Context(), visitor(t), JoinOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		started.tick(t.Context())
		e.tick(t.Context())
	}
	if v := started.View(); v.AdmittedTotal != 0 {
		t.Fatalf("it let somebody in past those who are not back yet: %+v", v)
	}
}

// losing is a queue that loses everything just before its lobby is read.
type losing struct {
	Queue
	lose func()
}

func (l *losing) CloseLobby(ctx context.Context, d int64) error {
	if l.lose != nil {
		l.lose()
		l.lose = nil
	}
	return l.Queue.CloseLobby(ctx, d)
}

func TestQ7_ALobbyThatRedisLostJustNowIsNotFrozen(t *testing.T) {
	t.Parallel()
	cfg := soon()
	e := openEdge(t, cfg)
	e.runDraw(t.Context())
	fans := e.crowd(10)
	for _, f := range fans {
		e.park(f, 0).event("position")
	}
	e.age()
	e.queue = &losing{Queue: e.queue, lose: func() {
		if err := e.redis.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}}
	e.opened()
	if got := e.record(); *got.Count != len(fans) {
		t.Fatalf("%d took part in the draw, of %d in the lobby", *got.Count, len(fans))
	}
}

func TestQ7_TheQueueDoesNotMoveBeforeALookAfterTheDraw(t *testing.T) {
	t.Parallel()
	e := openEdge(t, soon())
	e.until("the lobby is open", func(v *View) bool { return v.State == Lobby })
	fans := e.crowd(3) // no tick has counted them when the draw is over
	e.clock.Advance(5 * time.Second)
	for range 3 {
		e.runDraw(t.Context())
	}
	if v := e.View(); v.State == Open {
		t.Fatal("the room is open and nobody of the lobby has a place")
	}
	e.opened()
	e.admissions(ranked(e, fans))
}

func TestACohortThatRedisLostAloneIsPutBack(t *testing.T) {
	t.Parallel()
	cfg := soon()
	e := openEdge(t, cfg)
	fans := e.crowd(5)
	e.opened()
	if err := e.redis.Client().Del(t.Context(), "tickets:{arena}:cohort").Err(); err != nil {
		t.Fatal(err)
	}
	started := newEdge(t, e.redis, cfg)
	started.tick(t.Context())
	started.runDraw(t.Context()) // it finds half of it, and waits
	e.runDraw(t.Context())
	started.opened()
	if got := started.drawn(fans[2]); got.Score != e.drawn(fans[2]).Score || got.Score.Undrawn() {
		t.Fatalf("%+v", got)
	}
}
