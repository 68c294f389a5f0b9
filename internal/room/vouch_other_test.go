package room

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// The edge that admitted tells Redis of it again, and through Redis the others.
func TestATurnThatRedisLostIsTheFansOwnAtAnEdgeThatHadNotSeenItCome(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Settle = time.Hour // longer than the edges take to notice
	for name, notice := range map[string]func(t *testing.T, saw, other *edge){
		"both at once": func(t *testing.T, saw, other *edge) {
			saw.tick(t.Context())
			other.tick(t.Context())
		},
		"the loss first, the turns later": func(t *testing.T, saw, other *edge) {
			other.tick(t.Context())
			saw.tick(t.Context())
			other.tick(t.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			saw := openEdge(t, cfg)
			other := newEdge(t, saw.redis, cfg)
			other.tick(t.Context()) // it was there before the loss, and then looked away
			fans := saw.crowd(2)
			saw.until("both have their turn", func(v *View) bool { return v.Passed(fans[1].Score) })
			saw.age()
			if err := saw.redis.Client().FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			notice(t, saw, other)
			if _, err := other.Claim(t.Context(), fans[0]); err != nil {
				t.Fatalf("the turn came before the loss: %v", err)
			}
		})
	}
}

func TestNoTurnIsMissedAtAnEdgeThatHasYetToHearWhatWasLost(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Settle = time.Hour
	saw := openEdge(t, cfg)
	other := newEdge(t, saw.redis, cfg)
	other.tick(t.Context()) // it was there before their turn, or it could not tell it from one of long ago
	fans := saw.crowd(2)
	saw.until("both have their turn", func(v *View) bool { return v.Passed(fans[1].Score) })
	other.tick(t.Context())
	saw.age()
	other.missed(queue.ErrUnavailable) // its ticks find nobody, while another serves the others
	if err := saw.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	saw.tick(t.Context())
	if _, err := other.Claim(t.Context(), fans[0]); !errors.Is(err, queue.ErrUnavailable) {
		t.Fatalf("it cannot know: %v", err)
	}
	other.tick(t.Context())
	if _, err := other.Claim(t.Context(), fans[0]); err != nil {
		t.Fatalf("now it knows: %v", err)
	}
}
