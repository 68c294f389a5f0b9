package room

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// lose kills Redis and ticks until the edge knows.
func (e *edge) lose() {
	e.t.Helper()
	e.age()
	e.redis.Kill()
	e.until("the edge knows that Redis is away", func(v *View) bool { return v.Degraded })
	e.clock.Advance(200 * time.Millisecond) // the outage lasts; the test's clock moves by hand
}

// age waits until a queue that begins now gets another generation: they are
// named by the second, and a test is faster than any real loss.
func (e *edge) age() {
	e.t.Helper()
	e.until("the queue is a second old", func(v *View) bool { return v.Now.Unix() > int64(v.Generations[0]) })
}

func (e *edge) recover() {
	e.t.Helper()
	e.redis.Start()
	e.until("Redis is back and has the settings", func(v *View) bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return !v.Degraded && !e.unconfigured
	})
}

func TestQ5_EverybodyKeepsTheirPlaceWhenRedisLosesEverything(t *testing.T) {
	t.Parallel()
	e := paused(t)
	fans := e.crowd(30)
	for _, f := range fans[:20] { // ten others are polling
		e.park(f, 0).event("position")
	}
	e.resume()
	e.until("some had their turn", func(v *View) bool { return v.Passed(fans[2].Score) })
	spent := e.View().Fronts[0]
	if err := e.queue.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.tick(t.Context())

	e.lose()
	during := []place.Token{e.join(visitor(t)), e.join(visitor(t))}
	e.recover()
	late := e.join(visitor(t))
	for i := 20; i < 30; i++ { // those who poll bring their token back
		back, err := e.Refresh(t.Context(), fans[i])
		if err != nil || !back.Changed || back.Spent || back.Token.Score != fans[i].Score {
			t.Fatalf("fan %d: %+v, %v", i, back, err)
		}
	}
	e.resume()
	waiting := slices.Clone(fans)
	waiting = slices.DeleteFunc(waiting, func(f place.Token) bool { return f.Score <= spent })
	waiting = append(append(waiting, during...), late)
	if got := fmt.Sprint(e.admissions(waiting)); got != inOrder(len(waiting)) {
		t.Fatalf("admitted in the order %s", got)
	}
}

func TestQ5_ALossBetweenTwoTicksLetsNobodyOvertake(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Queue.Active = 1 // one is inside, so the others wait
	e := openEdge(t, cfg)
	inside := e.join(visitor(t))
	e.admissions([]place.Token{inside})
	fans := e.crowd(5)
	for _, f := range fans {
		e.park(f, 0).event("position")
	}
	e.age()
	if err := e.redis.Client().FlushAll(t.Context()).Err(); err != nil { // no tick sees Redis away
		t.Fatal(err)
	}
	quick := e.join(visitor(t)) // into the empty queue, ahead of everybody
	for range 3 {
		e.tick(t.Context())
	}
	if e.View().Passed(quick.Score) {
		t.Fatal("admitted from the empty queue: the front has passed all who wait")
	}
	cfg.Queue.Active = 10
	e.Apply(cfg)
	if got := fmt.Sprint(e.admissions(append(fans, quick))); got != inOrder(6) {
		t.Fatal(got)
	}
}

func TestDuringAnOutageFansStayAndNewOnesGetAPlace(t *testing.T) {
	t.Parallel()
	e := paused(t)
	before := e.join(visitor(t))
	s := e.park(before, 0)
	s.event("position")
	e.lose()
	if got := s.event("message"); got != `{"message":"`+messageDegraded+`"}` {
		t.Fatal(got)
	}
	blank := visitor(t)
	first := e.join(blank)
	again := e.join(blank)
	if first.Generation != 0 || first.Score <= before.Score || again.Score != first.Score {
		t.Fatalf("before %+v, first %+v, again %+v", before, first, again)
	}
	if got := first.Joined.Sub(place.LiveTime(first.Score)).Abs(); got > time.Second {
		t.Fatalf("the score is %v off the edge's corrected time", got)
	}
	e.recover()
	back, err := e.Refresh(t.Context(), first)
	if err != nil || !back.Changed || back.Token.Generation == 0 || back.Token.Score != first.Score {
		t.Fatalf("%+v, %v", back, err)
	}
	if again, err := e.Refresh(t.Context(), back.Token); err != nil || again.Changed {
		t.Fatalf("a token of this generation costs nothing: %+v, %v", again, err)
	}
	e.resume()
	if got := fmt.Sprint(e.admissions([]place.Token{before, first})); got != inOrder(2) {
		t.Fatal(got)
	}
}

func TestAJoinDoesNotWaitForARedisThatHangs(t *testing.T) {
	t.Parallel()
	e := paused(t)
	e.redis.Pause()
	defer e.redis.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	j, err := e.Join(ctx, visitor(t), JoinOptions{})
	if err != nil || j.Token.Score == 0 {
		t.Fatalf("%+v, %v", j, err)
	}
}

func TestASpentPlaceIsNotEnteredAgain(t *testing.T) {
	t.Parallel()
	e := openEdge(t, usual())
	fan := e.join(visitor(t))
	e.until("its turn", func(v *View) bool { return v.Passed(fan.Score) })
	if _, err := e.Claim(t.Context(), fan); err != nil {
		t.Fatal(err)
	}
	e.lose()
	e.recover()
	back, err := e.Refresh(t.Context(), fan)
	if err != nil || !back.Spent || back.Changed {
		t.Fatalf("%+v, %v", back, err)
	}
	if _, err := e.Claim(t.Context(), fan); !errors.Is(err, queue.ErrTurnMissed) {
		t.Fatalf("a place that had its turn before the loss: %v", err)
	}
	again := e.join(fan) // it may queue like anybody
	if again.Score <= fan.Score {
		t.Fatalf("%+v after %+v", again, fan)
	}
}

func TestAPausedRoomDoesNotOpenByItselfAfterALoss(t *testing.T) {
	t.Parallel()
	e := paused(t)
	if err := e.queue.SetMessage(t.Context(), "Back at nine."); err != nil {
		t.Fatal(err)
	}
	e.tick(t.Context())
	fan := e.join(visitor(t))
	e.lose()
	e.recover()
	for range 3 {
		e.tick(t.Context())
	}
	v := e.View()
	if v.State != Paused || v.Message != "Back at nine." || v.Passed(fan.Score) {
		t.Fatalf("state %s, message %q", v.State, v.Message)
	}
}

func TestARoomThatStartsWithoutRedisGivesPlacesAndEntersThem(t *testing.T) {
	t.Parallel()
	e := paused(t)
	e.redis.Kill()
	fresh := newEdge(t, e.redis, usual())
	fresh.tick(t.Context())
	a, b := fresh.join(visitor(t)), fresh.join(visitor(t))
	fresh.redis.Start()
	if got := fmt.Sprint(fresh.admissions([]place.Token{a, b})); got != inOrder(2) {
		t.Fatal(got)
	}
}

func TestALeaverIsReportedAwayAndBackAgain(t *testing.T) {
	t.Parallel()
	e := paused(t)
	fan := e.join(visitor(t))
	s := e.park(fan, 0)
	s.event("position")
	_ = s.Close()
	away := func() int {
		list, err := e.queue.AwayNow(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	e.until("the leaver is away in Redis", func(*View) bool {
		e.hub.Broadcast()
		return away() == 1
	})
	e.park(fan, 1).event("position")
	e.tick(t.Context())
	if away() != 0 {
		t.Fatal("still away although it is parked again")
	}
}

func TestALateWordOfAnotherEdgeDoesNotCostAParkedFanItsPlace(t *testing.T) {
	t.Parallel()
	e := paused(t)
	fan := e.join(visitor(t))
	e.park(fan, 0).event("position")
	e.tick(t.Context()) // its own word of the return is said
	if err := e.queue.Away(t.Context(), []place.Visitor{fan.Visitor}); err != nil {
		t.Fatal(err)
	}
	e.clock.Advance(longestPeriod)
	e.tick(t.Context())
	if list, err := e.queue.AwayNow(t.Context(), 10); err != nil || len(list) != 0 {
		t.Fatalf("%d away, %v", len(list), err)
	}
}

func TestAFanWhoWasSweptComesBackToItsOwnPlace(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Queue.AbandonAfter = 10 * time.Millisecond
	e := openEdge(t, cfg)
	if err := e.queue.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.tick(t.Context())
	fans := e.crowd(2)
	if err := e.queue.Away(t.Context(), []place.Visitor{fans[0].Visitor}); err != nil {
		t.Fatal(err)
	}
	e.until("it is swept", func(v *View) bool { return v.Waiting == 1 })
	e.clock.Advance(time.Second)
	e.park(fans[0], 0).event("position")
	e.until("it is in the queue again", func(v *View) bool { return v.Waiting == 2 })
	e.resume()
	if got := fmt.Sprint(e.admissions(fans)); got != inOrder(2) {
		t.Fatal(got)
	}
}

func TestQ5_NoEdgeAdmitsBeforeTheOrderIsWholeAgain(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Settle = time.Hour
	e := openEdge(t, cfg)
	e.age()
	if err := e.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	e.join(visitor(t))
	e.until("the fans of this edge are re-entered", func(*View) bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return !e.reentryDue && !e.settleUntil.IsZero()
	})
	e.tick(t.Context())
	another, err := e.queue.Tick(t.Context(), queue.TickInput{Limit: queue.NoLimit})
	if err != nil || another.Admitted != 0 {
		t.Fatalf("an edge that has not noticed admitted %d: without settings it must not be able to (%v)", another.Admitted, err)
	}
	if err := e.queue.Configure(t.Context(), cfg.Queue); err != nil { // by an edge that started just now
		t.Fatal(err)
	}
	for range 3 {
		e.tick(t.Context())
	}
	if n := e.View().AdmittedTotal; n != 0 {
		t.Fatalf("this edge admitted %d although it knows better", n)
	}
}
