package queue

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Else a fan who comes too late with a turn that Redis had lost mints a token with every
// request.
func TestQ6ATurnThatIsOverGivesItsTokenBackOnce(t *testing.T) {
	q, _ := setup(t, fast)
	late := Vouch{Until: time.Now().Add(-time.Second), Session: time.Minute}
	v := visitor(t)
	for range 5 {
		if _, err := q.Claim(t.Context(), v, late); !errors.Is(err, ErrTurnMissed) {
			t.Fatal(err)
		}
	}
	if got := tick(t, q, 0); got.NoShowsTotal != 0 {
		t.Fatalf("%d tokens for a turn that Redis does not know", got.NoShowsTotal)
	}
}

// lose makes one shard forget everything, as a node of a cluster does that comes back empty.
func lose(t *testing.T, q *Queue, shard int) {
	t.Helper()
	k := q.all()[shard].keys
	if err := q.rdb.Del(t.Context(), k.Room, k.Queue, k.Turn, k.Active, k.Away).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestQ5ASplitRoomGoesOnWhicheverShardLostItsData(t *testing.T) {
	for _, shard := range []int{0, 1} {
		s := fast
		s.Shards = 3
		q, _ := setup(t, s)
		places := byScore(crowd(t, q, 100))
		for range 5 {
			admit(t, q, 2)
		}
		lose(t, q, shard)
		tick(t, q, 0)
		if _, err := q.Reenter(t.Context(), places); err != nil {
			t.Fatal(err)
		}
		if err := q.Configure(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		admitted := 0
		for range 20 {
			admitted += tick(t, q, 10).Admitted
		}
		if admitted < 80 {
			t.Fatalf("shard %d lost its data, and of 90 who wait %d are admitted", shard, admitted)
		}
	}
}

func TestQ5TheCallThatFindsAShardEmptyAdmitsNobody(t *testing.T) {
	s := fast
	s.Shards = 3
	for _, first := range []string{"tick", "join", "another edge's tick"} {
		q, _ := setup(t, s)
		crowd(t, q, 100)
		tick(t, q, 10)
		other := another(q)
		tick(t, other, 0)
		lose(t, q, 1)
		switch first {
		case "join":
			join(t, q, Entry{Visitor: visitorIn(t, q, 1)})
		case "another edge's tick":
			tick(t, other, 0)
			tick(t, other, 0)
		}
		if got := tick(t, q, 20); got.Admitted != 0 {
			t.Fatalf("after a %s, %d are admitted past those who were lost", first, got.Admitted)
		}
	}
}

// Redis' clock may be behind the one of the server that it replaces.
func TestWhoComesIsBehindTheFrontAlsoWhenTheClockHasSteppedBack(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		ahead := place.LiveScore(time.Now().Add(time.Hour))
		for _, s := range q.all() {
			s.known.raise(place.Fronts{ahead})
		}
		if got := join(t, q, Entry{Visitor: visitor(t)}); got.Score <= ahead {
			t.Fatalf("a new place at %d, and the front has passed %d", got.Score, ahead)
		}
		got, err := q.PlaceBy(t.Context(), Link{ID: "x", Expires: time.Now().Add(time.Hour)}, visitor(t), 0, 0)
		if err != nil || got.Score <= ahead {
			t.Fatalf("a guest's place at %d, and the front has passed %d; %v", got.Score, ahead, err)
		}
	})
}

// A fan may hold a token of the lobby in another tier than the one it was frozen in.
func TestQ7APlaceIsMovedToTheTierItWasDrawnIn(t *testing.T) {
	q, _ := setup(t, fast)
	v := visitor(t)
	join(t, q, Entry{Visitor: v, Draw: 1})
	drawn := place.Tier(3).Base() + 5
	if err := q.Rescore(t.Context(), []Place{{v, drawn}}); err != nil {
		t.Fatal(err)
	}
	if got := join(t, q, Entry{Visitor: v}); got.Score != drawn {
		t.Fatalf("it is at %d, not at %d", got.Score, drawn)
	}
	if left, err := q.Undrawn(t.Context(), 0, 0, 1); err != nil || len(left) != 0 {
		t.Fatalf("the lobby never becomes empty: %v, %v", left, err)
	}
}

func TestQ1ASpentPlaceDoesNotComeBackThroughTheLobby(t *testing.T) {
	q, _ := setup(t, fast)
	a, b := visitor(t), visitor(t)
	join(t, q, Entry{Visitor: a, Draw: 1})
	join(t, q, Entry{Visitor: b, Draw: 1})
	drawn := []Place{{a, 500}, {b, 900}}
	if err := q.Rescore(t.Context(), drawn); err != nil {
		t.Fatal(err)
	}
	admit(t, q, 1)
	if _, err := q.Claim(t.Context(), a, Vouch{}); err != nil {
		t.Fatal(err)
	}
	if err := q.Leave(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Release(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	// An edge that does not know the draw yet believes the token of the lobby.
	if _, err := q.Reenter(t.Context(), []Place{{a, place.Tier(0).Undrawn()}}); err != nil {
		t.Fatal(err)
	}
	if err := q.Rescore(t.Context(), drawn); err != nil {
		t.Fatal(err)
	}
	if got := tick(t, q, 0); got.Waiting != 1 || got.Lobby != 0 {
		t.Fatalf("%+v", got)
	}
}

// What was drawn is below every front of a room whose queue has moved already: nobody of
// the lobby would ever wait.
func TestQ7NoOtherDrawBeginsInARoomThatHasLetSomebodyIn(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		publish := func(id int64, stage Stage) DrawRecord {
			t.Helper()
			got, err := q.Publish(t.Context(), DrawRecord{ID: id, Stage: stage, Record: []byte("x")}, "")
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		publish(5, Committed)
		publish(5, Frozen)
		publish(5, Drawn)
		crowd(t, q, 20)
		admit(t, q, 10)
		if got := publish(7, Committed); got.ID != 5 || got.Stage != Drawn {
			t.Fatalf("another draw has begun: %+v", got)
		}
		if err := q.rdb.Del(t.Context(), q.first().keys.Draw).Err(); err != nil {
			t.Fatal(err)
		}
		if got := publish(7, Committed); got.Stage != NoDraw {
			t.Fatalf("a draw has begun behind a queue that moves: %+v", got)
		}
		if got := publish(5, Drawn); got.ID != 5 || got.Stage != Drawn {
			t.Fatalf("what Redis has lost is not published again: %+v", got)
		}
	})
}

func TestNoRecordIsPublishedWithoutItsCohort(t *testing.T) {
	q, _ := setup(t, fast)
	staged, err := q.StageCohort(t.Context(), []byte("cohort"))
	if err != nil {
		t.Fatal(err)
	}
	if err := q.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := q.Publish(t.Context(), DrawRecord{ID: 5, Stage: Frozen, Record: []byte("x")}, staged); err != nil || got.Stage != NoDraw {
		t.Fatalf("%+v, %v", got, err)
	}
}
