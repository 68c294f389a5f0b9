package room

import (
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// Each edge puts back what Redis lost, one after the other. What an operator orders in
// between holds.
func TestWhatIsOrderedAfterALossIsNotUndoneByAnEdgeThatPutsBackWhatWasBefore(t *testing.T) {
	t.Parallel()
	e := paused(t)
	if err := e.queue.(*queue.Queue).SetMessage(t.Context(), "Back at nine."); err != nil {
		t.Fatal(err)
	}
	e.tick(t.Context())
	e.lose()
	e.redis.Start()
	for e.View().Degraded { // until the loss is known, and not until anything is put back
		e.tick(t.Context())
	}
	e.resume() // at another edge, which had its fans in order sooner
	e.until("the settings are back", func(*View) bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return !e.unconfigured
	})
	e.tick(t.Context())
	if v := e.View(); v.State != Open || v.Message != "Back at nine." {
		t.Fatalf("the room is %s, its message %q; it was resumed, and nobody took the message away", v.State, v.Message)
	}
}
