package room

import (
	"slices"
	"testing"
)

func TestAnOperatorSeesHowFarTheDrawIs(t *testing.T) {
	t.Parallel()
	if got := openEdge(t, usual()).DrawState(); got != nil {
		t.Errorf("a room without a lobby draws: %+v", got)
	}
	e := openEdge(t, soon())
	if got := e.DrawState(); got == nil || got.Stage != DrawNone {
		t.Errorf("before it is announced: %+v", got)
	}
	e.runDraw(t.Context())
	e.crowd(7)
	e.tick(t.Context())
	if got := e.DrawState(); got.Stage != DrawCommitted || got.Entrants != 7 || got.Beacon != "" || got.Trouble != "" {
		t.Errorf("in the lobby: %+v", got)
	}
	var stages []string
	e.until("everybody has a place", func(*View) bool {
		stages = append(stages, e.DrawState().Stage)
		return e.DrawState().Stage == DrawEntered
	})
	if got := e.DrawState(); got.Entrants != 7 {
		t.Errorf("afterwards: %+v", got)
	}
	if !slices.IsSorted(steps(stages)) {
		t.Errorf("it goes back: %q", stages)
	}
}

// steps are stages as numbers.
func steps(stages []string) []int {
	order := []string{DrawNone, DrawCommitted, DrawFrozen, DrawDrawn, DrawEntered}
	out := make([]int, len(stages))
	for i, s := range stages {
		out[i] = slices.Index(order, s)
	}
	return out
}
