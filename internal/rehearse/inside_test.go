package rehearse

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// A fan who was let straight through has no place to wait at.
func TestAFanWhoIsInsideWaitsForNothing(t *testing.T) {
	for state, waits := range map[string]bool{"active": false, "waiting": true} {
		asked := make(chan string, 100)
		c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			asked <- r.URL.Path
			if r.URL.Path == "/.waitroom/arena/stream" {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = w.Write([]byte("event: admitted\ndata: {}\n\n"))
				return
			}
			_, _ = w.Write([]byte(`{"state":"` + state + `"}`))
		})
		f := &fan{sale: &sale{cfg: Config{Room: "arena"}, tally: newTally()}, client: c}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := f.join(ctx); err != nil {
			t.Fatal(err)
		}
		if err := f.wait(ctx); err != nil {
			t.Errorf("%s: %v", state, err)
		}
		cancel()
		if got := len(asked) > 1; got != waits {
			t.Errorf("%s: %d requests", state, len(asked))
		}
	}
}
