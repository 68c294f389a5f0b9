package queue

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// enter lets a visitor through as soon as the bucket has a token.
func enter(t testing.TB, q *Queue, v place.Visitor) (got Claim) {
	t.Helper()
	eventually.Holds(t, "there is room", func() bool {
		var err error
		if got, err = q.Enter(t.Context(), v); err != nil && !errors.Is(err, ErrNoRoom) {
			t.Fatal(err)
		}
		return err == nil
	})
	return got
}

func TestAVisitorGoesStraightThroughWhileNobodyWaits(t *testing.T) {
	q, _ := setup(t, fast)
	tick(t, q, NoLimit)
	v := visitor(t)
	first := enter(t, q, v)
	if first.Again || first.Expires.Sub(first.At) != fast.Session {
		t.Fatalf("%+v", first)
	}
	again := enter(t, q, v) // the answer to the first was lost
	if !again.Again || again.Expires != first.Expires {
		t.Fatalf("%+v after %+v", again, first)
	}
	if claim, err := q.Claim(t.Context(), v, Vouch{}); err != nil || !claim.Again || claim.Expires != first.Expires {
		t.Fatalf("%+v %v", claim, err)
	}
	if got := join(t, q, Entry{Visitor: v}); got.State != Active {
		t.Fatalf("who is inside queues: %+v", got)
	}
	if got := tick(t, q, NoLimit); got.Active != 1 || got.AdmittedTotal != 1 || got.Waiting != 0 {
		t.Fatalf("%+v", got)
	}
	if _, err := q.Release(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if got := enter(t, q, v); got.Again {
		t.Fatal("a session that was ended goes on")
	}
}

func TestQ1NobodyGoesStraightThroughWhileSomebodyWaits(t *testing.T) {
	q, _ := setup(t, fast)
	first, second := visitor(t), visitor(t)
	join(t, q, Entry{Visitor: first})
	if _, err := q.Enter(t.Context(), second); !errors.Is(err, ErrNoRoom) {
		t.Fatalf("the second overtakes the first: %v", err)
	}
	if _, err := q.Enter(t.Context(), first); !errors.Is(err, ErrNotYet) {
		t.Fatalf("a visitor leaves the queue by the side: %v", err)
	}
	admit(t, q, 1)
	if _, err := q.Enter(t.Context(), first); !errors.Is(err, ErrNotYet) {
		t.Fatalf("a turn is doubled: %v", err)
	}
	enter(t, q, second) // the first has its turn, and waits for nothing any more
}

func TestQ6WhoGoesStraightThroughTakesFromTheSameBucketAndCap(t *testing.T) {
	s := fast
	s.Rate, s.Per, s.Burst, s.Active = 1, time.Hour, 7, 100
	q, _ := setup(t, s)
	tick(t, q, NoLimit)
	if err := q.rdb.HSet(t.Context(), q.first().keys.Room, "tokens", 7).Err(); err != nil {
		t.Fatal(err)
	}
	var in atomic.Int32
	var all sync.WaitGroup
	for i := range 40 { // edges enter and tick at once
		v := visitor(t)
		all.Go(func() {
			if i%4 == 0 {
				if _, err := q.Tick(t.Context(), TickInput{Limit: NoLimit}); err != nil {
					t.Error(err)
				}
			}
			switch _, err := q.Enter(t.Context(), v); {
			case err == nil:
				in.Add(1)
			case !errors.Is(err, ErrNoRoom):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if in.Load() != 7 {
		t.Fatalf("%d went through with 7 tokens", in.Load())
	}
	crowd(t, q, 3)
	if got := tick(t, q, NoLimit); got.Admitted != 0 || got.AdmittedTotal != 7 {
		t.Fatalf("a token was used twice: %+v", got)
	}

	s = fast
	s.Active = 2
	q, _ = setup(t, s)
	tick(t, q, NoLimit)
	enter(t, q, visitor(t))
	turn := visitor(t)
	join(t, q, Entry{Visitor: turn})
	admit(t, q, 1) // a turn holds a slot as a session does
	if _, err := q.Enter(t.Context(), visitor(t)); !errors.Is(err, ErrNoRoom) {
		t.Fatalf("beyond the cap: %v", err)
	}
}

func TestWhoGoesStraightThroughWaitsForTheNextTokenLikeAnybody(t *testing.T) {
	s := fast
	s.Rate, s.Per, s.Burst = 20, time.Second, 1
	q, _ := setup(t, s)
	tick(t, q, NoLimit)
	began := time.Now()
	in := 0
	for time.Since(began) < time.Second {
		if _, err := q.Enter(t.Context(), visitor(t)); err == nil {
			in++
		} else if !errors.Is(err, ErrNoRoom) {
			t.Fatal(err)
		}
	}
	if most := 1 + int(20*time.Since(began).Seconds()+1); in < 10 || in > most {
		t.Fatalf("%d in a second, at 20/s", in)
	}
}

func TestAPausedOrUnknownRoomLetsNobodyThrough(t *testing.T) {
	q, server := setup(t, fast)
	tick(t, q, NoLimit)
	enter(t, q, visitor(t))
	if err := q.rdb.HSet(t.Context(), q.first().keys.Room, "tokens", 5).Err(); err != nil { // it is the pause that holds them up
		t.Fatal(err)
	}
	if err := q.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Enter(t.Context(), visitor(t)); !errors.Is(err, ErrNoRoom) {
		t.Fatalf("paused: %v", err)
	}
	if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Enter(t.Context(), visitor(t)); !errors.Is(err, ErrNoRoom) {
		t.Fatalf("lost: %v", err)
	}
	server.Kill()
	if _, err := q.Enter(t.Context(), visitor(t)); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("away: %v", err)
	}
}

func BenchmarkEnter(b *testing.B) {
	s := fast
	s.Rate, s.Burst, s.Active = 5_000_000, 5_000_000, 1<<30
	q, _ := setup(b, s)
	tick(b, q, NoLimit)
	enter(b, q, visitor(b))
	b.SetParallelism(50)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := q.Enter(b.Context(), visitor(b)); err != nil && !errors.Is(err, ErrNoRoom) {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// The word of the other edges counts also for an edge that finds the site well.
func TestNobodyGoesStraightThroughToASiteThatIsUnwell(t *testing.T) {
	q, _ := setup(t, fast)
	tell := func(unwell bool) {
		t.Helper()
		if _, err := q.Tick(t.Context(), TickInput{Limit: NoLimit, Edge: "another", Unwell: unwell}); err != nil {
			t.Fatal(err)
		}
	}
	tell(false)
	enter(t, q, visitor(t))
	tell(true)
	if err := q.rdb.HSet(t.Context(), "tickets:{arena}:room", "tokens", 5).Err(); err != nil { // it is not the rate
		t.Fatal(err)
	}
	if _, err := q.Enter(t.Context(), visitor(t)); !errors.Is(err, ErrNoRoom) {
		t.Errorf("let through: %v", err)
	}
	tell(false)
	enter(t, q, visitor(t))
}
