package queue

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

func link(id string) Link {
	return Link{ID: id, Expires: time.Now().Add(time.Hour), Name: "press"}
}

func enterBy(t testing.TB, q *Queue, l Link, v place.Visitor) Claim {
	t.Helper()
	got, err := q.EnterBy(t.Context(), l, v)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func placeBy(t testing.TB, q *Queue, l Link, v place.Visitor, tier place.Tier) Placing {
	t.Helper()
	got, err := q.PlaceBy(t.Context(), l, v, tier, 0)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func used(t testing.TB, q *Queue, name string) int {
	t.Helper()
	got, err := q.Guests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got[name]
}

// atWalkingPace admits hardly anybody, so that what guests do is seen alone.
func atWalkingPace(s Settings) Settings {
	s.Rate, s.Per, s.Burst = slow.Rate, slow.Per, slow.Burst
	s.Active = slow.Active
	return s
}

// slow is that pace in a room that is whole.
var slow = Settings{Rate: 1, Per: time.Hour, Burst: 1, Active: 1000, Session: time.Minute, ClaimWithin: time.Minute}

func TestALinkIsUsedOnceInTheFleet(t *testing.T) {
	t.Parallel()
	split(t, func(t *testing.T, slow Settings) {
		slow = atWalkingPace(slow)
		for name, use := range map[string]func(*Queue, place.Visitor) error{
			"for a session": func(q *Queue, v place.Visitor) error { _, err := q.EnterBy(t.Context(), link("a"), v); return err },
			"for a place": func(q *Queue, v place.Visitor) error {
				_, err := q.PlaceBy(t.Context(), link("a"), v, 0, 0)
				return err
			},
			"for itself": func(q *Queue, v place.Visitor) error { return q.Spend(t.Context(), link("a"), v) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				q, _ := setup(t, slow)
				edges := []*Queue{q, another(q), another(q)}
				const guests = 50
				errs := make([]error, guests)
				var all sync.WaitGroup
				for i := range guests {
					v := visitor(t)
					all.Go(func() { errs[i] = use(edges[i%len(edges)], v) })
				}
				all.Wait()
				won := 0
				for _, err := range errs {
					switch {
					case err == nil:
						won++
					case !errors.Is(err, ErrSpent):
						t.Error(err)
					}
				}
				if won != 1 || used(t, q, "press") != 1 {
					t.Errorf("%d used it, %d are counted", won, used(t, q, "press"))
				}
				if got := tick(t, q, 0); got.Active+got.Waiting > 1 {
					t.Errorf("%d inside, %d waiting", got.Active, got.Waiting)
				}
			})
		}
	})
}

// The answer may be lost; then the same visitor asks again.
func TestAGuestWhoAsksAgainFindsWhatWasGiven(t *testing.T) {
	t.Parallel()
	split(t, func(t *testing.T, slow Settings) {
		slow = atWalkingPace(slow)
		q, _ := setup(t, slow)
		v, w := visitor(t), visitor(t)
		first := enterBy(t, q, link("a"), v)
		again := enterBy(t, q, link("a"), v)
		if first.Again || !again.Again || !again.Expires.Equal(first.Expires) {
			t.Errorf("%+v, then %+v", first, again)
		}
		given := placeBy(t, q, link("b"), w, 1)
		if found := placeBy(t, q, link("b"), w, 1); !given.Fresh || found.Fresh || found.Score != given.Score || given.Score.Tier() != 1 {
			t.Errorf("%+v, then %+v", given, found)
		}
		if q.Spend(t.Context(), link("c"), v) != nil || q.Spend(t.Context(), link("c"), v) != nil {
			t.Error("a link cannot be used twice by the visitor who used it")
		}
		if used(t, q, "press") != 3 {
			t.Errorf("%d are counted", used(t, q, "press"))
		}
	})
}

// A session that is over is not given again, nor a place that was left.
func TestALinkIsNotGoodForASecondTime(t *testing.T) {
	t.Parallel()
	split(t, func(t *testing.T, slow Settings) {
		slow = atWalkingPace(slow)
		q, _ := setup(t, slow)
		v, w := visitor(t), visitor(t)
		enterBy(t, q, link("a"), v)
		placeBy(t, q, link("b"), w, 0)
		if _, err := q.Release(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		if err := q.Leave(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		if _, err := q.EnterBy(t.Context(), link("a"), v); !errors.Is(err, ErrSpent) {
			t.Errorf("a second session: %v", err)
		}
		if _, err := q.PlaceBy(t.Context(), link("b"), w, 0, 0); !errors.Is(err, ErrSpent) {
			t.Errorf("a second place: %v", err)
		}
		// Nor for something else.
		if _, err := q.PlaceBy(t.Context(), link("a"), v, 0, 0); !errors.Is(err, ErrSpent) {
			t.Errorf("a place after the session: %v", err)
		}
	})
}

func TestALinkWhoseTimeIsOverGivesNothing(t *testing.T) {
	t.Parallel()
	split(t, func(t *testing.T, slow Settings) {
		slow = atWalkingPace(slow)
		q, server := setup(t, slow)
		late := link("a")
		late.Expires = time.Now().Add(-time.Millisecond)
		v := visitor(t)
		if _, err := q.EnterBy(t.Context(), late, v); !errors.Is(err, ErrLinkOver) {
			t.Error(err)
		}
		if _, err := q.PlaceBy(t.Context(), late, v, 0, 0); !errors.Is(err, ErrLinkOver) {
			t.Error(err)
		}
		if err := q.Spend(t.Context(), late, v); !errors.Is(err, ErrLinkOver) {
			t.Error(err)
		}
		if got := tick(t, q, 0); got.Active+got.Waiting+used(t, q, "press") != 0 {
			t.Errorf("%+v", got)
		}
		enterBy(t, q, link("b"), v)
		ttl, err := server.Client().PTTL(t.Context(), q.first().keys.Link("b")).Result()
		if err != nil || ttl <= 59*time.Minute || ttl > time.Hour {
			t.Errorf("it is kept for %v (%v)", ttl, err)
		}
	})
}

// Guests may exceed the rate, never the cap; one who is refused keeps the link.
func TestQ6GuestsNeverExceedTheCap(t *testing.T) {
	t.Parallel()
	s := slow
	s.Active = 5
	q, _ := setup(t, s)
	crowd(t, q, 2)
	admit(t, q, 1) // a turn counts, too
	errs := make([]error, 20)
	var all sync.WaitGroup
	for i := range errs {
		v := visitor(t)
		all.Go(func() { _, errs[i] = q.EnterBy(t.Context(), link(string(rune('a'+i))), v) })
	}
	all.Wait()
	in := 0
	for i, err := range errs {
		switch {
		case err == nil:
			in++
		case !errors.Is(err, ErrCap):
			t.Errorf("guest %d: %v", i, err)
		}
	}
	if got := tick(t, q, NoLimit); in != 4 || got.Active+got.Turns != 5 || used(t, q, "press") != 4 {
		t.Errorf("%d got in; %d inside, %d turns; %d counted", in, got.Active, got.Turns, used(t, q, "press"))
	}
}

func TestWhatRefusesAGuestUsesNothingUp(t *testing.T) {
	t.Parallel()
	split(t, func(t *testing.T, slow Settings) {
		slow = atWalkingPace(slow)
		s := slow
		s.Active = 1
		q, server := setup(t, s)
		inside, guest := visitor(t), visitor(t)
		guest[15] = 1 // in another shard than the first, where there are several
		enterBy(t, q, link("a"), inside)
		refused := func(want error) {
			t.Helper()
			if _, err := q.EnterBy(t.Context(), link("b"), guest); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		refused(ErrCap)
		if _, err := q.Release(t.Context(), inside); err != nil {
			t.Fatal(err)
		}
		if err := q.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		tick(t, q, 0) // a room that is split learns from it how many are inside
		refused(ErrPaused)
		server.Kill()
		refused(ErrUnavailable)
		server.Start()
		if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		refused(ErrUnavailable) // nobody has said yet how many may be inside
		if err := q.Configure(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if used(t, q, "press") != 0 {
			t.Error("a refusal is counted")
		}
		enterBy(t, q, link("b"), guest)
	})
}

// A guest is inside or waits, never both.
func TestQ4AGuestHasOnePlace(t *testing.T) {
	t.Parallel()
	split(t, func(t *testing.T, slow Settings) {
		slow = atWalkingPace(slow)
		q, _ := setup(t, slow)
		waiting := crowd(t, q, 2)
		v := waiting[1].Visitor
		enterBy(t, q, link("a"), v)
		if got := tick(t, q, 0); got.Waiting != 1 || got.Active != 1 {
			t.Errorf("%d wait, %d inside", got.Waiting, got.Active)
		}
		if got := placeBy(t, q, link("b"), v, 0); got.State != Active {
			t.Errorf("inside, a place is %+v", got)
		}
		admit(t, q, 1)
		turned := waiting[0].Visitor
		if got := placeBy(t, q, link("c"), turned, 0); got.State != Turn {
			t.Errorf("with a turn, a place is %+v", got)
		}
		enterBy(t, q, link("d"), turned)
		if got := tick(t, q, 0); got.Turns != 0 || got.Active != 2 {
			t.Errorf("%d turns, %d inside", got.Turns, got.Active)
		}
		if n := used(t, q, "press"); n != 2 {
			t.Errorf("%d links are used; who had as good already keeps the link", n)
		}
	})
}

func TestAGuestMovesUpToTheTierAndNeverDown(t *testing.T) {
	t.Parallel()
	split(t, func(t *testing.T, slow Settings) {
		slow = atWalkingPace(slow)
		q, _ := setup(t, slow)
		waiting := crowd(t, q, 3) // tier 0
		v, w := visitor(t), waiting[1].Visitor
		low := placeBy(t, q, link("a"), v, 3)
		up := placeBy(t, q, link("b"), v, 1)
		if low.Score.Tier() != 3 || up.Score.Tier() != 1 || !up.Fresh {
			t.Errorf("%+v, then %+v", low, up)
		}
		if got := placeBy(t, q, link("c"), w, 1); got.Score != waiting[1].Score || got.Fresh {
			t.Errorf("a better place is lost: %+v", got)
		}
		if got := placeBy(t, q, link("c"), visitor(t), 1); !got.Fresh {
			t.Error("the link of somebody who did not need it is used up")
		}
		if got := tick(t, q, 0); got.Waiting != 5 {
			t.Errorf("%d wait", got.Waiting)
		}
	})
}

// A full queue turns fans away, and no guest.
func TestAFullQueueTakesGuests(t *testing.T) {
	t.Parallel()
	s := slow
	s.MaxQueue = 1
	q, _ := setup(t, s)
	crowd(t, q, 1)
	if p := join(t, q, Entry{Visitor: visitor(t)}); p.State != Refused {
		t.Fatalf("%+v", p)
	}
	if p := placeBy(t, q, link("a"), visitor(t), 0); p.State != Waiting || !p.Fresh {
		t.Errorf("%+v", p)
	}
}

// In a lobby a guest is drawn like the others of the tier; once the draw has begun it
// comes too late for it, and gets a place behind.
func TestAGuestOfALobbyIsDrawnWithItsTier(t *testing.T) {
	t.Parallel()
	split(t, func(t *testing.T, s Settings) {
		q, server := setup(t, atWalkingPace(s))
		const draw = 77
		v, late := visitor(t), visitor(t)
		got, err := q.PlaceBy(t.Context(), link("a"), v, 1, draw)
		if err != nil || got.Score != place.Tier(1).Undrawn() || !got.Fresh {
			t.Fatalf("%+v (%v)", got, err)
		}
		for _, part := range q.all() {
			if err := server.Client().HSet(t.Context(), part.keys.Room, "frozen", draw).Err(); err != nil {
				t.Fatal(err)
			}
		}
		got, err = q.PlaceBy(t.Context(), link("b"), late, 1, draw)
		if err != nil || got.Score.Undrawn() || got.Score < place.Tier(1).Base()+place.LiveBase || got.Score.Tier() != 1 {
			t.Errorf("%+v (%v)", got, err)
		}
	})
}
