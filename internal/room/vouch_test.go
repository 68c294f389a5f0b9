package room

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

func TestATurnThatRedisLostIsStillTheFansOwn(t *testing.T) {
	t.Parallel()
	e := openEdge(t, usual())
	fans := e.crowd(3)
	e.until("all have their turn", func(v *View) bool { return v.Passed(fans[2].Score) })
	if _, err := e.Claim(t.Context(), fans[0]); err != nil {
		t.Fatal(err)
	}
	e.lose()
	e.recover()
	got, err := e.Claim(t.Context(), fans[1])
	if err != nil || got.Again || !got.Expires.After(got.Issued) {
		t.Fatalf("a turn that was not claimed yet: %+v, %v", got, err)
	}
	if _, err := e.Claim(t.Context(), fans[0]); !errors.Is(err, queue.ErrTurnMissed) {
		t.Fatalf("a place that was spent: %v", err)
	}
	restarted := newEdge(t, e.redis, usual())
	restarted.tick(t.Context())
	if _, err := restarted.Claim(t.Context(), fans[2]); !errors.Is(err, queue.ErrTurnMissed) {
		t.Fatalf("an edge that was not there vouches: %v", err)
	}
	if _, err := e.Claim(t.Context(), fans[2]); err != nil {
		t.Fatal(err)
	}
}

func TestQ6_SessionsThatRedisLostCountAgainWhenTheirFansAreSeen(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Queue.Active, cfg.Settle = 3, time.Second
	e := openEdge(t, cfg)
	inside := e.crowd(3)
	expires := make([]time.Time, len(inside))
	e.until("all have their turn", func(v *View) bool { return v.Passed(inside[2].Score) })
	for i, f := range inside {
		got, err := e.Claim(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		expires[i] = got.Expires
		e.Inside(f.Visitor.String(), got.Issued, got.Expires)
	}
	if got := e.sessions.take(e.Now()); len(got) != 0 {
		t.Fatalf("sessions that Redis knows are told: %v", got)
	}
	waiting := e.crowd(5)
	for _, f := range waiting {
		e.park(f, 0).event("position")
	}
	e.lose()
	e.redis.Start()
	for i, f := range inside { // their pages load something, while the order settles
		e.until("the loss is known", func(v *View) bool { return !v.Degraded })
		e.Inside(f.Visitor.String(), e.Now().Add(-time.Minute), expires[i])
		e.Inside(f.Visitor.String(), e.Now().Add(-time.Minute), expires[i])
	}
	e.until("they are counted", func(v *View) bool { return v.Active >= 3 })
	e.until("the room admits again", func(*View) bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.settledLocked() && !e.unconfigured
	})
	for range 20 {
		e.tick(t.Context())
	}
	if v := e.View(); v.Active+v.Turns > 3 {
		t.Fatalf("%d inside and %d turns with a cap of 3", v.Active, v.Turns)
	}
}
