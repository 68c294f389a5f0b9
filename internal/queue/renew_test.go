package queue

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

func renewal(v place.Visitor, c Claim) Renewal {
	return Renewal{Visitor: v, Issued: c.At, Began: c.At, Longest: time.Hour}
}

// shorten leaves a session only this much.
func shorten(t testing.TB, q *Queue, v place.Visitor, left time.Duration) {
	t.Helper()
	ends := float64(time.Now().Add(left).UnixMilli())
	if err := q.rdb.Do(t.Context(), "ZADD", q.first().keys.Active, ends, v[:]).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestASessionThatIsUsedGoesOnUpToItsLongest(t *testing.T) {
	q, _ := setup(t, fast)
	tick(t, q, NoLimit)
	v := visitor(t)
	first := enter(t, q, v)
	if _, renewed, err := q.Began(t.Context(), v); renewed || err != nil {
		t.Fatal(renewed, err)
	}
	shorten(t, q, v, 10*time.Second)
	r := renewal(v, first)
	got, err := q.Renew(t.Context(), r)
	if err != nil || got.Again || got.Expires.Sub(got.At) != fast.Session {
		t.Fatalf("%+v %v", got, err)
	}
	if began, renewed, err := q.Began(t.Context(), v); !renewed || err != nil || !began.Equal(first.At) {
		t.Fatal(began, renewed, err)
	}
	shorten(t, q, v, 10*time.Second)
	r.Longest = got.At.Sub(first.At) + 20*time.Second
	got, err = q.Renew(t.Context(), r)
	if end := first.At.Add(r.Longest); err != nil || !got.Expires.Equal(end) {
		t.Fatalf("%+v %v, want an end at %v", got, err, end)
	}
	if got, err = q.Renew(t.Context(), r); err != nil || !got.Again {
		t.Fatalf("beyond its longest: %+v %v", got, err)
	}
}

func TestASessionThatIsOverIsNotRenewed(t *testing.T) {
	q, server := setup(t, fast)
	tick(t, q, NoLimit)
	refused := func(what string, r Renewal) {
		t.Helper()
		if got, err := q.Renew(t.Context(), r); !errors.Is(err, ErrOver) {
			t.Errorf("%s: %+v %v", what, got, err)
		}
	}
	never := visitor(t)
	refused("never begun", renewal(never, Claim{At: time.Now()}))

	v := visitor(t)
	first := enter(t, q, v)
	released, err := q.Release(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	refused("released", renewal(v, first))
	eventually.Holds(t, "the next millisecond", func() bool { return time.Now().UnixMilli() > released.UnixMilli()+1 })
	second := enter(t, q, v) // another session of the same visitor
	refused("released, with the pass of before", renewal(v, first))
	if _, err := q.Renew(t.Context(), renewal(v, second)); err != nil {
		t.Errorf("the session that goes on: %v", err)
	}
	shorten(t, q, v, -time.Second)
	refused("run out", renewal(v, second))
	if got := tick(t, q, NoLimit); got.Active != 0 {
		t.Errorf("%d are inside", got.Active)
	}
	server.Kill()
	if _, err := q.Renew(t.Context(), renewal(v, second)); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if _, _, err := q.Began(t.Context(), v); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

// What is kept of renewed sessions goes when no session can be that old.
func TestRenewedSessionsAreForgotten(t *testing.T) {
	q, _ := setup(t, fast)
	tick(t, q, NoLimit)
	old, v := visitor(t), visitor(t)
	if err := q.rdb.Do(t.Context(), "ZADD", q.first().keys.Begun, time.Now().Add(-2*time.Hour).UnixMilli(), old[:]).Err(); err != nil {
		t.Fatal(err)
	}
	first := enter(t, q, v)
	shorten(t, q, v, time.Second)
	if _, err := q.Renew(t.Context(), renewal(v, first)); err != nil {
		t.Fatal(err)
	}
	if _, renewed, err := q.Began(t.Context(), old); renewed || err != nil {
		t.Error("an old session is kept", err)
	}
}
