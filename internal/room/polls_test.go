package room

import (
	"testing"
	"time"
)

func TestQ5_NobodyIsAdmittedBeforeThoseWhoPollAreBack(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Queue.Active = 1 // one is inside, so the others wait
	e := openEdge(t, cfg)
	inside := e.join(visitor(t))
	e.until("one is inside", func(v *View) bool { return v.Passed(inside.Score) })
	polls := e.join(visitor(t))
	e.Seen(polls)
	told := e.View().PollAfter(polls.Score)
	e.age()
	if err := e.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	e.until("the loss is found", func(*View) bool { return !e.lostAt.IsZero() })
	if wait := e.settleUntil.Sub(e.lostAt); wait > 2*pollMost {
		t.Errorf("after the loss the room waits for %v, and fans were told to be back after %v", wait, told)
	}
	e.join(visitor(t)) // who is the first in the empty queue
	for range 20 {
		e.tick(t.Context())
		e.clock.Advance(100 * time.Millisecond)
	}
	if v := e.View(); v.AdmittedTotal != 0 || v.Passed(polls.Score) {
		t.Errorf("%d were admitted before the fan who polls was back", v.AdmittedTotal)
	}
	// An edge that has nobody who polls is done sooner, and waits with this one.
	other := newEdge(t, e.redis, cfg)
	if err := other.queue.Configure(t.Context(), cfg.Queue); err != nil {
		t.Fatal(err)
	}
	other.until("it is done", func(*View) bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		return other.ticked && other.settledLocked()
	})
	for range 20 {
		other.tick(t.Context())
	}
	if v := other.View(); v.AdmittedTotal != 0 || v.Passed(polls.Score) {
		t.Errorf("another edge admitted %d before the fan who polls here was back", v.AdmittedTotal)
	}
	if back, err := e.Refresh(t.Context(), polls); err != nil || back.Spent || e.scoreInRedis(polls.Visitor) != polls.Score {
		t.Errorf("the fan who polls came back to %+v, %v", back, err)
	}
}
