package queue

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// keep remembers what Redis holds; rewind makes it what it was at the last keep, as a restored snapshot or a
// replica that was promoted too early is.
func keep(t *testing.T, q *Queue) (rewind func()) {
	t.Helper()
	type kept struct{ key, dump string }
	var all []kept
	for _, s := range q.all() {
		for _, key := range []string{s.keys.Room, s.keys.Queue, s.keys.Turn, s.keys.Active, s.keys.Away} {
			if dump, err := q.rdb.Dump(t.Context(), key).Result(); err == nil {
				all = append(all, kept{key, dump})
			}
		}
	}
	return func() {
		t.Helper()
		if err := q.rdb.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			if err := q.rdb.Restore(t.Context(), k.key, 0, k.dump).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// visitorIn is one whose place is in a shard.
func visitorIn(t *testing.T, q *Queue, shard int) place.Visitor {
	for {
		if v := visitor(t); ShardOf(v, q.Shards()) == shard {
			return v
		}
	}
}

func TestQ5ARedisThatWentBackInTimeIsALoss(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		old := byScore(crowd(t, q, 100))
		before := admit(t, q, 10)
		rewind := keep(t, q)
		admit(t, q, 30)
		late := crowd(t, q, 20)
		rewind()

		got := tick(t, q, NoLimit)
		if slices.Equal(got.Generations, before.Generations) || got.Admitted != 0 || got.Settings.Rate != 0 {
			t.Fatalf("the loss was not noticed: %+v", got)
		}
		if got.Waiting != 60 {
			t.Fatalf("%d wait, want the 60 that had not had their turn", got.Waiting)
		}
		if n, err := q.Reenter(t.Context(), append(slices.Clone(old), late...)); err != nil || n != 80 {
			t.Fatalf("%d are back, %v; want 60 of before and the 20 that the snapshot did not have", n, err)
		}
		if err := q.Configure(t.Context(), fast); err != nil {
			t.Fatal(err)
		}
		admit(t, q, 1)
		if _, err := q.Claim(t.Context(), old[40].Visitor, Vouch{}); err != nil {
			t.Fatalf("the next in line: %v", err)
		}
		if again := tick(t, q, 0); !slices.Equal(again.Generations, got.Generations) {
			t.Fatal("one loss was noticed twice")
		}
	})
}

func TestALossIsNoticedByAJoinToo(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		e := Entry{Visitor: visitor(t)}
		first := join(t, q, e)
		rewind := keep(t, q)
		for range 5 {
			join(t, q, e)
		}
		rewind()
		if again := join(t, q, e); again.Generation <= first.Generation || again.Score != first.Score {
			t.Fatalf("first %+v, then %+v", first, again)
		}
	})
}

func TestAnEdgeThatKnowsLessTakesNothingForALoss(t *testing.T) {
	q, _ := setup(t, fast)
	crowd(t, q, 5)
	before := tick(t, q, 0)
	other := another(q)
	crowd(t, q, 5)
	for _, edge := range []*Queue{other, q, other} {
		if got := tick(t, edge, 0); got.Generations[0] != before.Generations[0] || got.Settings.Rate == 0 {
			t.Fatalf("%+v", got)
		}
	}
}

func TestQ1ALaterTierWaitsForAnEarlierAndLosesNobody(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		guest := join(t, q, Entry{Visitor: visitor(t), Tier: 1})
		member := Entry{Visitor: visitor(t)}
		join(t, q, member)
		got := admit(t, q, 1)
		if got.Fronts.Passed(guest.Score) || got.Fronts[0] == 0 {
			t.Fatalf("%v", got.Fronts)
		}
		if got = admit(t, q, 1); !got.Fronts.Passed(guest.Score) {
			t.Fatalf("%v", got.Fronts)
		}
		// A member who comes only now is not taken for one who has been in.
		late := Place{visitor(t), join(t, q, Entry{Visitor: visitor(t)}).Score + 1}
		if n, err := q.Reenter(t.Context(), []Place{late}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
	})
}

func TestTheTokenOfATurnThatNobodyCameForGoesBack(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		s := fast
		s.Rate, s.Per, s.Burst = 1, time.Hour, 5
		q, server := setup(t, s)
		crowd(t, q, 20)
		if err := q.rdb.HSet(t.Context(), q.first().keys.Room, "tokens", 5).Err(); err != nil {
			t.Fatal(err)
		}
		tick(t, q, 0) // a room that is split learns its burst
		admit(t, q, 5)
		if got := tick(t, q, NoLimit); got.Admitted != 0 || got.Turns != 5 {
			t.Fatalf("%+v", got)
		}
		missed := 0
		for _, part := range q.all() {
			who, err := server.Client().ZRange(t.Context(), part.keys.Turn, 0, -1).Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range who[:min(len(who), 3-missed)] {
				missed++
				if err := server.Client().ZIncrBy(t.Context(), part.keys.Turn, -120_000, v).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		admit(t, q, 3)
		if got := tick(t, q, NoLimit); got.Admitted != 0 || got.NoShowsTotal != 3 || got.AdmittedTotal-got.NoShowsTotal != 5 {
			t.Fatalf("%+v", got)
		}
	})
}

func TestAdmissionStopsWhileHalfOfTheEdgesFindTheSiteUnwell(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, server := setup(t, fast)
		crowd(t, q, 500)
		say := func(edge string, unwell bool, limit int) Tick {
			t.Helper()
			got, err := q.Tick(t.Context(), TickInput{Limit: limit, Edge: edge, Unwell: unwell})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		say("a", false, 0)
		say("b", false, 0)
		say("c", true, 0)
		if got := say("a", false, 1); got.Edges != 3 || got.EdgesUnwell != 1 {
			t.Fatalf("%+v", got)
		}
		admit(t, q, 1)
		if got := say("b", true, 1); got.Admitted != 0 || got.EdgesUnwell != 2 {
			t.Fatalf("two of three say unwell: %+v", got)
		}
		if got := tick(t, q, 10); got.Admitted != 0 {
			t.Fatalf("admitted %d to a site that is down", got.Admitted)
		}
		// One of them dies; its word is worth nothing after a few seconds.
		old := float64(time.Now().Add(-time.Minute).UnixMilli())
		for _, key := range []string{q.first().keys.Edges, q.first().keys.Unwell} {
			if err := server.Client().ZIncrBy(t.Context(), key, old-float64(time.Now().UnixMilli()), "c").Err(); err != nil {
				t.Fatal(err)
			}
		}
		if got := say("b", false, 0); got.Edges != 2 || got.EdgesUnwell != 0 {
			t.Fatalf("%+v", got)
		}
		admit(t, q, 1)
	})
}

func TestNobodyIsAdmittedBeforeTheDraw(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		early := Entry{Visitor: visitorIn(t, q, 0), Draw: 77}
		placed := join(t, q, early)
		again := join(t, q, early)
		if placed.Score != place.Tier(0).Undrawn() || !placed.Fresh || again.Fresh || again.Score != placed.Score {
			t.Fatalf("%+v, %+v", placed, again)
		}
		join(t, q, Entry{Visitor: visitorIn(t, q, q.Shards()-1), Tier: 1})
		for range 3 {
			if got := tick(t, q, NoLimit); got.Admitted != 0 || got.Lobby != 1 || got.Waiting != 2 {
				t.Fatalf("%+v", got)
			}
		}
		if err := q.CloseLobby(t.Context(), 77); err != nil {
			t.Fatal(err)
		}
		if late := join(t, q, Entry{Visitor: visitor(t), Draw: 77}); late.Score.Undrawn() {
			t.Fatal("one who came after the lobby was closed is in it")
		}
		if next := join(t, q, Entry{Visitor: visitor(t), Draw: 78}); !next.Score.Undrawn() {
			t.Fatal("the lobby of the next draw is closed with this one's")
		}
		if got := tick(t, q, 0); got.Frozen != 77 || got.Lobby != 2 {
			t.Fatalf("%+v", got)
		}
	})
}

func TestALobbyIsReadWholeAndInOrderWhileFansLeaveIt(t *testing.T) {
	q, _ := setup(t, fast)
	entries := make([]Entry, 2*lobbyBatch+700)
	for i := range entries {
		entries[i] = Entry{Visitor: visitor(t), Draw: 1}
	}
	if _, err := q.JoinBatch(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	crowd(t, q, 100) // live ones are no part of it
	slices.SortFunc(entries, func(a, b Entry) int { return slices.Compare(a.Visitor[:], b.Visitor[:]) })
	var read []place.Visitor
	err := q.Lobby(t.Context(), 0, 0, func(some []place.Visitor) {
		read = append(read, some...)
		for _, v := range some[:200] { // of those who were read, 200 leave before the next look
			if err := q.Leave(t.Context(), v); err != nil {
				t.Fatal(err)
			}
		}
	})
	if err != nil || len(read) != len(entries) {
		t.Fatalf("%d of %d were read, %v", len(read), len(entries), err)
	}
	for i, v := range read {
		if v != entries[i].Visitor {
			t.Fatalf("entrant %d is out of order", i)
		}
	}
}

func TestRescoringMovesEachPlaceOnceAndBringsNobodyBack(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		a, b, gone := Entry{Visitor: visitor(t), Draw: 1}, Entry{Visitor: visitor(t), Draw: 1, Tier: 2}, Entry{Visitor: visitor(t), Draw: 1}
		for _, e := range []Entry{a, b, gone} {
			join(t, q, e)
		}
		if err := q.Leave(t.Context(), gone.Visitor); err != nil {
			t.Fatal(err)
		}
		drawn := []Place{{a.Visitor, 500}, {b.Visitor, place.Tier(2).Base() + 20}, {gone.Visitor, 30}}
		other := []Place{{a.Visitor, 900}, {b.Visitor, place.Tier(2).Base() + 900}}
		for _, places := range [][]Place{drawn, drawn, other} {
			if err := q.Rescore(t.Context(), places); err != nil {
				t.Fatal(err)
			}
		}
		if got := tick(t, q, 0); got.Waiting != 2 || got.Lobby != 0 {
			t.Fatalf("%+v", got)
		}
		for _, p := range drawn[:2] {
			if got := join(t, q, Entry{Visitor: p.Visitor}); got.Score != p.Score {
				t.Fatalf("%+v, want %d", got, p.Score)
			}
		}
	})
}

func TestWhatWasPublishedAboutADrawStays(t *testing.T) {
	q, _ := setup(t, fast)
	publish := func(id int64, stage Stage, text, staged string) DrawRecord {
		t.Helper()
		got, err := q.Publish(t.Context(), DrawRecord{ID: id, Stage: stage, Record: []byte(text)}, staged)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	is := func(got DrawRecord, id int64, stage Stage, text string) {
		t.Helper()
		if got.ID != id || got.Stage != stage || string(got.Record) != text {
			t.Fatalf("%d, stage %d, %q", got.ID, got.Stage, got.Record)
		}
	}
	stage := func(raw string) string {
		t.Helper()
		staged, err := q.StageCohort(t.Context(), []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		return staged
	}
	if got, err := q.Draw(t.Context()); err != nil || got.Stage != NoDraw {
		t.Fatal(got, err)
	}
	is(publish(5, Committed, "one", ""), 5, Committed, "one")
	is(publish(5, Committed, "two", ""), 5, Committed, "one")
	is(publish(6, Committed, "moved", ""), 6, Committed, "moved") // the sale was put off
	is(publish(6, Frozen, "frozen", stage("cohort")), 6, Frozen, "frozen")
	is(publish(6, Frozen, "again", stage("another")), 6, Frozen, "frozen")
	is(publish(7, Committed, "next", ""), 6, Frozen, "frozen") // it is under way
	is(publish(6, Drawn, "drawn", ""), 6, Drawn, "drawn")
	if got, err := q.Cohort(t.Context()); err != nil || string(got) != "cohort" {
		t.Fatalf("%q, %v", got, err)
	}
	is(publish(7, Committed, "next", ""), 7, Committed, "next")
	if got, err := q.Cohort(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("the cohort of another draw: %q, %v", got, err)
	}
	long := make([]byte, 2*cohortChunk+17)
	for i := range long {
		long[i] = byte(i * 7 >> 3)
	}
	publish(7, Frozen, "long", stage(string(long)))
	if got, err := q.Cohort(t.Context()); err != nil || !slices.Equal(got, long) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(long), err)
	}
}

func TestARoundThatWasLeftHalfDoneIsFinishedByTheNextEdge(t *testing.T) {
	s := fast
	s.Shards, s.Burst = 3, 30
	q, _ := setup(t, s)
	var places []Place
	for range 80 { // one by one, so that those of the shards are mixed
		places = append(places, crowd(t, q, 1)...)
	}
	places = byScore(places)
	tick(t, q, 0)
	// This edge dies after its decision: a round is written down and nobody applied it.
	seen, err := q.survey(t.Context(), TickInput{Limit: 30})
	if err != nil {
		t.Fatal(err)
	}
	heads := inOrder(seen)
	args := []any{0, 30, 0, 0, "", "0", 3, 0}
	for _, h := range heads {
		args = append(args, uint64(h.score), h.shard)
	}
	k := q.first().keys
	if n, err := q.eval(t.Context(), decideScript, []string{k.Room, k.Edges, k.Unwell}, args...).Slice(); err != nil || n[0].(int64) < 1 {
		t.Fatal(n, err)
	}
	// Somebody who is in it leaves meanwhile, and the next of that shard is not the next of all.
	gone := 0
	for ShardOf(places[gone].Visitor, 3) == ShardOf(places[30].Visitor, 3) {
		gone++
	}
	if err := q.Leave(t.Context(), places[gone].Visitor); err != nil {
		t.Fatal(err)
	}
	other := another(q)
	got := tick(t, other, NoLimit) // it applies, and decides nothing
	if got.Admitted != 0 {
		t.Fatalf("a round was decided while another was under way: %+v", got)
	}
	after := tick(t, other, 0)
	if after.AdmittedTotal == 0 || after.Turns != int(after.AdmittedTotal) {
		t.Fatalf("%+v", after)
	}
	left := false
	for i, p := range places {
		if i == gone {
			continue
		}
		_, err := q.Claim(t.Context(), p.Visitor, Vouch{})
		if admitted := after.Fronts.Passed(p.Score); admitted != (err == nil) || admitted && left {
			t.Fatalf("place %d: passed %v, claim %v, somebody before it was left out: %v", i, admitted, err, left)
		}
		left = left || err != nil
	}
}

func TestQ6ARoundIsDecidedOnceAndAppliedOnce(t *testing.T) {
	s := fast
	s.Shards, s.Burst, s.Rate, s.Per = 3, 30, 1, time.Hour
	q, _ := setup(t, s)
	crowd(t, q, 300)
	tick(t, q, 0)
	room := q.first().keys.Room
	if err := q.rdb.HSet(t.Context(), room, "tokens", 30).Err(); err != nil {
		t.Fatal(err)
	}
	seen, err := q.survey(t.Context(), TickInput{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	whole, heads := together(seen), inOrder(seen)
	// Two edges saw the same; the one that is later by a moment must not decide on it.
	first, err := q.decide(t.Context(), TickInput{Limit: 10}, whole, 0, heads)
	if err != nil || first.Admitted != 10 {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := another(q).decide(t.Context(), TickInput{Limit: 10}, whole, 0, heads)
	if err != nil || second.Admitted != 0 {
		t.Fatalf("%+v, %v", second, err)
	}
	if tokens, err := q.rdb.HGet(t.Context(), room, "tokens").Float64(); err != nil || tokens < 20 {
		t.Fatalf("it took tokens all the same: %v are left of 30, %v", tokens, err)
	}
	plan, err := q.rdb.HGet(t.Context(), room, "plan").Result()
	if err != nil {
		t.Fatal(err)
	}
	again, err := q.apply(t.Context(), plan, s)
	if err != nil || again != 0 {
		t.Fatalf("a round was applied again: %d, %v", again, err)
	}
	if got := tick(t, q, 0); got.Turns != 10 || got.AdmittedTotal != 10 {
		t.Fatalf("%+v", got)
	}
}

func TestQ1OrderHoldsAcrossShardsWhileEdgesRaceAndFansComeAndGo(t *testing.T) {
	s := fast
	s.Shards, s.Burst, s.Rate = 4, 25, 4000
	q, _ := setup(t, s)
	places := byScore(crowd(t, q, 2000))
	done := make(chan error, 4)
	for range 4 {
		go func() {
			edge := another(q)
			for {
				got, err := edge.Tick(t.Context(), TickInput{Limit: NoLimit})
				if err != nil || got.AdmittedTotal >= 1500 {
					done <- err
					return
				}
			}
		}()
	}
	for i := 1999; i > 1900; i-- { // those at the end leave
		if err := q.Leave(t.Context(), places[i].Visitor); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	tick(t, q, 0)
	last := tick(t, q, 0)
	n := int(last.AdmittedTotal)
	for i, p := range places[:1900] {
		_, err := q.Claim(t.Context(), p.Visitor, Vouch{})
		if (i < n) != (err == nil) && !(i > 0 && p.Score == places[i-1].Score) {
			t.Fatalf("of %d admitted, place %d: %v", n, i, err)
		}
	}
}

func TestEdgesThatSplitARoomDifferentlyAreStopped(t *testing.T) {
	q, _ := setup(t, fast)
	other := another(q)
	other.Split(2)
	if _, err := other.Tick(t.Context(), TickInput{}); err != nil {
		t.Fatalf("an empty room may be split: %v", err)
	}
	crowd(t, q, 3)
	if _, err := other.Tick(t.Context(), TickInput{}); !errors.Is(err, errShards) || !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
}

func TestNoEdgeAdmitsAnybodyWhileOneHoldsAdmissionBack(t *testing.T) {
	split(t, func(t *testing.T, fast Settings) {
		q, _ := setup(t, fast)
		crowd(t, q, 10)
		now := tick(t, q, 0).Now
		if got, err := q.Tick(t.Context(), TickInput{Limit: NoLimit, Hold: now.Add(time.Minute)}); err != nil || got.Admitted != 0 {
			t.Fatalf("%d admitted, %v", got.Admitted, err)
		}
		other := another(q)
		if got := tick(t, other, NoLimit); got.Admitted != 0 {
			t.Fatalf("%d admitted", got.Admitted)
		}
		if _, err := other.Enter(t.Context(), visitor(t)); !errors.Is(err, ErrNoRoom) {
			t.Fatal(err)
		}
		// A clock that is a year ahead shuts the room for two minutes.
		if _, err := q.Tick(t.Context(), TickInput{Hold: now.AddDate(1, 0, 0)}); err != nil {
			t.Fatal(err)
		}
		till, err := q.rdb.HGet(t.Context(), q.first().keys.Room, "hold").Int64()
		if err != nil || till > time.Now().Add(2*time.Minute+time.Second).UnixMilli() {
			t.Fatal(till, err)
		}
		if err := q.rdb.HSet(t.Context(), q.first().keys.Room, "hold", 1).Err(); err != nil { // its time is over
			t.Fatal(err)
		}
		admit(t, other, 10)
	})
}
