package queue

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// fast admits without waiting: each tick finds a full bucket.
var fast = Settings{Rate: 1_000_000, Per: time.Second, Burst: 1000, Active: 1_000_000,
	Session: time.Minute, ClaimWithin: time.Minute, AbandonAfter: time.Minute}

func setup(t testing.TB, s Settings) (*Queue, *devstack.RedisServer) {
	t.Helper()
	server := devstack.Redis(t)
	q := Open(server.Client(), "arena")
	q.Split(s.Shards)
	if err := q.Configure(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return q, server
}

// another is the queue as an edge sees it that knows nothing yet.
func another(q *Queue) *Queue {
	other := Open(q.rdb, q.room)
	other.Split(q.Shards())
	return other
}

// split runs a test on a room that is whole and on one of three shards: what is
// promised of the one holds for the other.
func split(t *testing.T, test func(t *testing.T, fast Settings)) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			t.Parallel()
			s := fast
			s.Shards = shards
			test(t, s)
		})
	}
}

// byScore orders places as they are admitted.
func byScore(places []Place) []Place {
	slices.SortFunc(places, func(a, b Place) int { return cmp.Compare(a.Score, b.Score) })
	return places
}

func visitor(t testing.TB) place.Visitor {
	t.Helper()
	v, err := place.NewVisitor(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func join(t testing.TB, q *Queue, e Entry) Placing {
	t.Helper()
	p, err := q.Join(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tick(t testing.TB, q *Queue, limit int) Tick {
	t.Helper()
	got, err := q.Tick(t.Context(), TickInput{Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// crowd joins n visitors in order and returns them with their places.
func crowd(t testing.TB, q *Queue, n int) []Place {
	t.Helper()
	entries := make([]Entry, n)
	for i := range entries {
		entries[i].Visitor = visitor(t)
	}
	placings, err := q.JoinBatch(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	places := make([]Place, n)
	for i, p := range placings {
		if p.State != Waiting || !p.Fresh {
			t.Fatalf("entry %d: %+v", i, p)
		}
		places[i] = Place{entries[i].Visitor, p.Score}
	}
	return places
}

// admit ticks until n are admitted in all.
func admit(t testing.TB, q *Queue, n int) Tick {
	t.Helper()
	for got := 0; ; {
		last := tick(t, q, n-got)
		if got += last.Admitted; got >= n {
			return last
		}
	}
}

func TestQ1TheLowerScoreIsAdmittedFirst(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		late := Entry{Visitor: visitor(t), Tier: place.Deprioritised}
		join(t, q, late)
		places := byScore(crowd(t, q, 2000))
		if got := admit(t, q, 700); got.Fronts[0] != places[699].Score {
			t.Fatalf("front %d, want the 700th's %d", got.Fronts[0], places[699].Score)
		}
		for i, p := range places {
			_, err := q.Claim(t.Context(), p.Visitor, Vouch{})
			if want := i < 700; (err == nil) != want {
				t.Fatalf("place %d: %v", i, err)
			}
		}
		admit(t, q, 1300)
		if _, err := q.Claim(t.Context(), late.Visitor, Vouch{}); !errors.Is(err, ErrNotYet) {
			t.Fatalf("a deprioritised place did not wait for the others: %v", err)
		}
		admit(t, q, 1)
		// A fan of an earlier tier who comes after a later one was admitted still waits for its turn.
		early := join(t, q, Entry{Visitor: visitor(t)})
		if got := tick(t, q, 0); got.Fronts.Passed(early.Score) {
			t.Fatal("the front of another tier passed a fan who waits")
		}
	})
}

func TestQ4JoiningAgainFindsTheSamePlace(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		e := Entry{Visitor: visitor(t)}
		first := join(t, q, e)
		crowd(t, q, 10)
		again := join(t, q, e)
		if again.Score != first.Score || again.Fresh || !first.Fresh {
			t.Fatalf("first %+v, again %+v", first, again)
		}
		admit(t, q, 1)
		if got := join(t, q, e); got.State != Turn {
			t.Fatalf("a visitor whose turn it is queues again: %+v", got)
		}
		if _, err := q.Claim(t.Context(), e.Visitor, Vouch{}); err != nil {
			t.Fatal(err)
		}
		if got := join(t, q, e); got.State != Active {
			t.Fatalf("a visitor with a pass queues again: %+v", got)
		}
		if n := tick(t, q, 0).Waiting; n != 10 {
			t.Fatalf("%d wait, want 10", n)
		}
	})
}

func TestQ4AHundredRetriesAtOnceMakeOnePlace(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		e := Entry{Visitor: visitor(t)}
		scores := make([]place.Score, 100)
		var all sync.WaitGroup
		for i := range scores {
			all.Go(func() {
				p, err := q.Join(context.Background(), e)
				if err != nil {
					t.Error(err)
				}
				scores[i] = p.Score
			})
		}
		all.Wait()
		for _, s := range scores {
			if s != scores[0] || s == 0 {
				t.Fatalf("scores %v", scores)
			}
		}
	})
}

func TestQ5AQueueThatLostEverythingIsFilledAgainAtTheSameScores(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, server := setup(t, fast)
		places := byScore(crowd(t, q, 1500))
		before := admit(t, q, 300)
		if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		entered, err := q.Reenter(t.Context(), places)
		if err != nil || entered != 1200 {
			t.Fatalf("%d entered, %v; want 1200: spent places are refused", entered, err)
		}
		after := tick(t, q, 0)
		if after.Fronts != before.Fronts || after.Waiting != 1200 {
			t.Fatalf("fronts %v waiting %d, want %v and 1200", after.Fronts, after.Waiting, before.Fronts)
		}
		for i := 300; i < len(places); i++ {
			rank, there, err := q.Rank(t.Context(), places[i].Visitor)
			if err != nil || !there || rank != i-300 {
				t.Fatalf("place %d has rank %d, %v, %v", i, rank, there, err)
			}
		}
		if again, err := q.Reenter(t.Context(), places); err != nil || again != 1200 || tick(t, q, 0).Waiting != 1200 {
			t.Fatalf("entering again changed something: %d, %v", again, err)
		}
	})
}

func TestQ5TheFrontIsGivenBackByAnEdgeThatRemembersIt(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, server := setup(t, fast)
		places := crowd(t, q, 10)
		fronts := admit(t, q, 5).Fronts
		if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		other := another(q)
		tick(t, q, 0)
		if n, err := other.Reenter(t.Context(), places); err != nil || n != 5 {
			t.Fatalf("%d entered through the other edge, %v", n, err)
		}
		if got := tick(t, other, 0).Fronts; got != fronts {
			t.Fatalf("fronts %v, want %v", got, fronts)
		}
	})
}

func TestQ6TheCapHoldsWhoeverTicks(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		s := fast
		s.Active = 7
		q, _ := setup(t, s)
		crowd(t, q, 100)
		var edges sync.WaitGroup
		for range 8 {
			edges.Go(func() {
				edge := another(q)
				for range 50 {
					got, err := edge.Tick(context.Background(), TickInput{Limit: NoLimit})
					if err != nil || got.Turns+got.Active > 7 {
						t.Errorf("%d turns and %d active, %v", got.Turns, got.Active, err)
					}
				}
			})
		}
		edges.Wait()
		if got := tick(t, q, NoLimit); got.AdmittedTotal != 7 {
			t.Fatalf("admitted %d", got.AdmittedTotal)
		}
	})
}

func TestQ6AdmissionsStayWithinRateAndBurst(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		s := fast
		s.Rate, s.Burst = 200, 50 // a burst that outlasts a busy machine
		q, _ := setup(t, s)
		crowd(t, q, 5000)
		var edges sync.WaitGroup
		begun := tick(t, q, NoLimit)
		for range 4 {
			edges.Go(func() {
				edge := another(q)
				for {
					got, err := edge.Tick(context.Background(), TickInput{Limit: NoLimit})
					if err != nil {
						t.Error(err)
						return
					}
					window := got.Now.Sub(begun.Now)
					if most := float64(s.Burst) + 200*window.Seconds(); float64(got.AdmittedTotal-begun.AdmittedTotal) > most {
						t.Errorf("%d admitted in %v", got.AdmittedTotal-begun.AdmittedTotal, window)
						return
					}
					if window > time.Second {
						return
					}
				}
			})
		}
		edges.Wait()
		if got := tick(t, q, 0); got.AdmittedTotal < 150 {
			t.Fatalf("only %d admitted in a second at 200/s", got.AdmittedTotal)
		}
	})
}

func TestQ6AClockThatStepsBackMintsNoAdmissions(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		s := fast
		s.Rate, s.Burst = 1, 1
		q, server := setup(t, s)
		crowd(t, q, 50)
		admit(t, q, 1)
		key := q.first().keys.Room
		for range 20 { // the last refill lies in the future: the clock has gone back since
			ahead := time.Now().Add(time.Hour).UnixMilli()
			if err := server.Client().HSet(t.Context(), key, "refilled", ahead).Err(); err != nil {
				t.Fatal(err)
			}
			if got := tick(t, q, NoLimit); got.Admitted != 0 {
				t.Fatalf("admitted %d", got.Admitted)
			}
		}
	})
}

func TestStockAndHealthLimitAdmission(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		crowd(t, q, 10)
		if got := tick(t, q, 0); got.Admitted != 0 {
			t.Fatalf("admitted %d", got.Admitted)
		}
		if got := admit(t, q, 3); got.Turns != 3 {
			t.Fatalf("%d turns", got.Turns)
		}
	})
}

func TestAPausedRoomAdmitsNobodyAndLosesNobody(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		crowd(t, q, 10)
		if err := q.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := tick(t, q, NoLimit); got.Admitted != 0 || !got.Paused || got.Waiting != 10 {
			t.Fatalf("%+v", got)
		}
		if err := q.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := admit(t, q, 10); got.Paused {
			t.Fatalf("%+v", got)
		}
	})
}

func TestAnUnclaimedTurnPassesOn(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		s := fast
		s.Active, s.ClaimWithin = 1, time.Second
		q, server := setup(t, s)
		places := byScore(crowd(t, q, 2))
		admit(t, q, 1)
		past := float64(time.Now().Add(-time.Minute).UnixMilli())
		if err := server.Client().ZIncrBy(t.Context(), q.of(places[0].Visitor).keys.Turn, past-float64(time.Now().UnixMilli()), string(places[0].Visitor[:])).Err(); err != nil {
			t.Fatal(err)
		}
		got := admit(t, q, 1)
		if got.NoShowsTotal != 1 || got.Fronts[0] != places[1].Score {
			t.Fatalf("%+v", got)
		}
		if _, err := q.Claim(t.Context(), places[0].Visitor, Vouch{}); !errors.Is(err, ErrNotQueued) {
			t.Fatal(err)
		}
	})
}

func TestClaimingTwiceGivesOneSession(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		places := crowd(t, q, 1)
		if _, err := q.Claim(t.Context(), places[0].Visitor, Vouch{}); !errors.Is(err, ErrNotYet) {
			t.Fatal(err)
		}
		admit(t, q, 1)
		first, err := q.Claim(t.Context(), places[0].Visitor, Vouch{})
		if err != nil || first.Again {
			t.Fatal(first, err)
		}
		second, err := q.Claim(t.Context(), places[0].Visitor, Vouch{})
		if err != nil || !second.Again || !second.Expires.Equal(first.Expires) {
			t.Fatal(second, err)
		}
		if got := tick(t, q, 0); got.Active != 1 || got.Turns != 0 {
			t.Fatalf("%+v", got)
		}
	})
}

func TestReleaseFreesTheSlotAndRevokesThePass(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		s := fast
		s.Active = 1
		q, _ := setup(t, s)
		places := byScore(crowd(t, q, 2))
		since := admit(t, q, 1).Now.UnixMilli()
		if _, err := q.Claim(t.Context(), places[0].Visitor, Vouch{}); err != nil {
			t.Fatal(err)
		}
		if _, err := q.Release(t.Context(), places[0].Visitor); err != nil {
			t.Fatal(err)
		}
		got, err := q.Tick(t.Context(), TickInput{Limit: NoLimit, RevokedSince: since})
		if err != nil || len(got.Revoked) != 1 || got.Revoked[0].Visitor != places[0].Visitor {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.AdmittedTotal < 2 {
			admit(t, q, 1) // the bucket fills by the millisecond, and all this took less
		}
	})
}

func TestLeavingFreesThePlaceAtOnce(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		places := byScore(crowd(t, q, 3))
		for range 2 {
			if err := q.Leave(t.Context(), places[0].Visitor); err != nil {
				t.Fatal(err)
			}
		}
		if rank, _, err := q.Rank(t.Context(), places[1].Visitor); err != nil || rank != 0 {
			t.Fatal(rank, err)
		}
	})
}

func TestAPlaceThatStaysAwayIsDroppedAndOneThatComesBackIsNot(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, server := setup(t, fast)
		places := crowd(t, q, 3)
		gone := []place.Visitor{places[0].Visitor, places[1].Visitor}
		if err := q.Away(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		if got, err := q.AwayNow(t.Context(), 10); err != nil || len(got) != 2 {
			t.Fatal(got, err)
		}
		if err := q.Back(t.Context(), gone[1:]); err != nil {
			t.Fatal(err)
		}
		if got := tick(t, q, 0); got.Waiting != 3 {
			t.Fatalf("%d wait: dropped too early", got.Waiting)
		}
		if err := server.Client().ZIncrBy(t.Context(), q.of(gone[0]).keys.Away, -120_000, string(gone[0][:])).Err(); err != nil {
			t.Fatal(err)
		}
		tick(t, q, 0)
		if _, there, _ := q.Rank(t.Context(), gone[0]); there {
			t.Fatal("an abandoned place is still there")
		}
		if _, there, _ := q.Rank(t.Context(), gone[1]); !there {
			t.Fatal("a place that came back is gone")
		}
	})
}

func TestAFullQueueRefusesNewVisitorsAndKnowsItsOwn(t *testing.T) {
	s := fast
	s.MaxQueue = 5
	q, _ := setup(t, s)
	places := crowd(t, q, 4)
	batch := []Entry{{Visitor: places[0].Visitor}, {Visitor: visitor(t)}, {Visitor: visitor(t)}, {Visitor: places[1].Visitor}}
	got, err := q.JoinBatch(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	states := fmt.Sprint(got[0].State, got[1].State, got[2].State, got[3].State)
	if states != fmt.Sprint(Waiting, Waiting, Refused, Waiting) || got[0].Score != places[0].Score {
		t.Fatalf("%+v", got)
	}
}

func TestTheLastConfigWinsAndOnlyChangesCount(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		one := tick(t, q, 0).Revision
		if err := q.Configure(t.Context(), fast); err != nil {
			t.Fatal(err)
		}
		slow := fast
		slow.Rate, slow.Per, slow.Burst = 500, time.Minute, 0
		if err := another(q).Configure(t.Context(), slow); err != nil {
			t.Fatal(err)
		}
		got := tick(t, q, 0)
		if got.Revision != one+1 || got.Settings.Rate != 500 || got.Settings.Per != time.Minute || got.Settings.Burst != 8 {
			t.Fatalf("%+v", got)
		}
	})
}

func TestSettingsThatAdmitNobodyAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"rate": func(s *Settings) { s.Rate = 0 }, "per": func(s *Settings) { s.Per = -1 },
		"active": func(s *Settings) { s.Active = 0 }, "session": func(s *Settings) { s.Session = 0 },
		"claim": func(s *Settings) { s.ClaimWithin = time.Millisecond }, "burst": func(s *Settings) { s.Burst = -1 },
	} {
		s := fast
		change(&s)
		if s.Check() == nil {
			t.Errorf("%s is not checked", name)
		}
	}
}

func TestOperatorsTuneARoomWithoutAConfig(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		if err := errors.Join(q.SetRate(t.Context(), 3, time.Hour), q.SetMessage(t.Context(), "Doors open at 9")); err != nil {
			t.Fatal(err)
		}
		got := tick(t, q, 0)
		if got.Settings.Rate != 3 || got.Settings.Per != time.Hour || got.Message != "Doors open at 9" {
			t.Fatalf("%+v", got)
		}
		if q.SetRate(t.Context(), 0, time.Second) == nil || q.SetMessage(t.Context(), string(make([]byte, MaxMessage+1))) == nil {
			t.Fatal("nonsense is accepted")
		}
	})
}

func TestARedisThatIsAwayIsSaidSoAndFoundAgain(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, server := setup(t, fast)
		places := crowd(t, q, 3)
		server.Kill()
		if _, err := q.Join(t.Context(), Entry{Visitor: visitor(t)}); !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		if _, err := q.Tick(t.Context(), TickInput{}); !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		server.Start()
		if n, err := q.Reenter(t.Context(), places); err != nil || n != 3 {
			t.Fatal(n, err)
		}
	})
}

func TestACallerThatGivesUpTakesNothingFromTheOthers(t *testing.T) {
	q, _ := setup(t, fast)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	for i := range 50 {
		e := Entry{Visitor: visitor(t)}
		all.Go(func() {
			ctx := t.Context()
			if i%2 == 0 {
				ctx = gone
			}
			if _, err := q.Join(ctx, e); i%2 == 1 && err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestPositionsOnTheBoardAreThoseOfTheQueue(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		places := byScore(crowd(t, q, 5000))
		drawn := []Place{{visitor(t), 7}} // the step to live scores is over 2^48
		if _, err := q.Reenter(t.Context(), drawn); err != nil {
			t.Fatal(err)
		}
		b, err := q.Board(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b.Waiting() != 5001 || b.Position(7) != 1 {
			t.Fatalf("%d waiting, position %d", b.Waiting(), b.Position(7))
		}
		for i, p := range places {
			if i > 0 && p.Score == places[i-1].Score {
				continue // given by two shards in one microsecond: neither is ahead of the other
			}
			want := i + 2
			got := b.Position(p.Score)
			if i < 999 && got != want || got < want || float64(got-want) > 0.001*float64(want)+1 {
				t.Fatalf("place %d has position %d, want %d", i, got, want)
			}
		}
	})
}

func TestQ2PositionsNeverGoUp(t *testing.T) {
	q, _ := setup(t, fast)
	places := crowd(t, q, 3000)
	shown := make([]int, len(places))
	for round := range 20 {
		if err := q.rdb.Del(t.Context(), q.first().keys.Board).Err(); err != nil { // a second later
			t.Fatal(err)
		}
		b, err := q.Board(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range places {
			got := b.Position(p.Score)
			if round > 0 && got > shown[i] {
				t.Fatalf("round %d: place %d went from %d to %d", round, i, shown[i], got)
			}
			shown[i] = got
		}
		admit(t, q, 37)
		crowd(t, q, 100) // others come, behind
		if err := q.Leave(t.Context(), places[1500+round].Visitor); err != nil {
			t.Fatal(err)
		}
	}
}

// A burst is told its real positions at the join: the board that would say them is
// made later.
func TestANewPlaceKnowsItsPosition(t *testing.T) {
	t.Parallel()
	q, _ := setup(t, fast)
	join(t, q, Entry{Visitor: visitor(t), Tier: place.Deprioritised}) // behind all others
	crowd(t, q, 700)
	entries := make([]Entry, 25)
	for i := range entries {
		entries[i].Visitor = visitor(t)
	}
	placings, err := q.JoinBatch(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range placings {
		rank, there, err := q.Rank(t.Context(), entries[i].Visitor)
		if err != nil || !there {
			t.Fatal(there, err)
		}
		if p.Position != 701+i || p.Position != rank+1 {
			t.Errorf("fan %d is told %d and is at %d", i, p.Position, rank+1)
		}
	}
	if again := join(t, q, entries[3]); again.Position != 0 {
		t.Errorf("a place that was there is told %d", again.Position)
	}
}
