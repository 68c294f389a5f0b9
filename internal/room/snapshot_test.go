package room

import (
	"errors"
	"slices"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// goesBack kills Redis and starts it with what it had when it was saved last.
func (e *edge) goesBack() {
	e.t.Helper()
	e.age()
	was := slices.Clone(e.View().Generations)
	e.redis.Kill()
	e.redis.Start()
	e.until("the edge sees that Redis went back", func(v *View) bool { return !slices.Equal(v.Generations, was) })
}

func TestASnapshotBringsNoSessionBackThatWasEnded(t *testing.T) {
	t.Parallel()
	for _, saved := range []string{"with the session", "with the turn"} {
		t.Run(saved, func(t *testing.T) {
			t.Parallel()
			e := openEdge(t, usual())
			tok := e.join(visitor(t))
			e.until("it is the fan's turn", func(v *View) bool { return v.Passed(tok.Score) })
			claim := func() error { _, err := e.Claim(t.Context(), tok); return err }
			save := func() error { return e.redis.Client().Save(t.Context()).Err() }
			leave := func() error { return e.Release(t.Context(), tok.Visitor) }
			steps := []func() error{claim, save, leave}
			if saved == "with the turn" {
				steps = []func() error{save, claim, leave}
			}
			for _, step := range steps {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			e.goesBack()
			for range 2 {
				if err := claim(); !errors.Is(err, queue.ErrTurnMissed) {
					t.Errorf("a place that was used up is claimed again: %v", err)
				}
			}
			again := e.join(place.Token{Visitor: tok.Visitor})
			if again.Score == tok.Score || !again.Placed() {
				t.Errorf("the fan came again and got %+v", again)
			}
		})
	}
}
