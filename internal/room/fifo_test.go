package room

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// With fifo the lobby is a queue that does not move yet: who comes first is first, is
// told so at once, and is admitted first when it opens.
func TestQ1_AFifoLobbyKeepsTheOrderOfArrivalAndTellsIt(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Opens, cfg.Lobby, cfg.Method = time.Now().Add(time.Hour), 2*time.Hour, Fifo
	e := openEdge(t, cfg)
	e.until("the lobby", func(v *View) bool { return v.State == Lobby })
	fans := e.crowd(5)
	for i, f := range fans {
		if f.Score < place.LiveBase || f.Score.Undrawn() || i > 0 && f.Score <= fans[i-1].Score {
			t.Fatalf("fan %d has the score %d", i, f.Score)
		}
	}
	e.readBoard(t.Context())
	e.tick(t.Context())
	for i, f := range fans {
		got := e.View().Status(f, 0)
		if got.Position != i+1 || got.State != string(Lobby) || got.Method != Fifo || got.ETA == nil || got.ETA.Low < 3000 {
			t.Errorf("fan %d is told %+v, %+v", i, got, got.ETA)
		}
	}
	if v := e.View(); v.Waiting != 5 || v.AdmittedTotal != 0 {
		t.Errorf("%d wait, %d were admitted", v.Waiting, v.AdmittedTotal)
	}
	cfg.Opens = time.Now().Add(-time.Second)
	e.Apply(cfg)
	if got := fmt.Sprint(e.admissions(fans)); got != inOrder(5) {
		t.Fatal(got)
	}
}
