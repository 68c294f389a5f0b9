package fleet

import (
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

func TestQ5_PlacesThatAFailoverLosesComeBackAtTheirScores(t *testing.T) {
	t.Parallel()
	for name, begin := range fleets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNight(t, begin)
			n.pause()
			n.arrive(20)
			thaw := n.redis.Freeze(n.key)
			n.arrive(20) // lost with the master
			killed := n.redis.KillMaster(n.key)
			thaw()
			n.arrive(10) // while there is no Redis
			n.redis.AwaitMaster(n.key, killed)
			n.arrive(10)
			eventually.Within(t, 30*time.Second, "everybody is in the queue again, with the place they had", n.everybodyWaits)
			if r := n.rooms[0].View(); r.State != room.Paused {
				t.Errorf("the room is %s: a failover must not open it", r.State)
			}
			n.resume()
			n.end()
		})
	}
}
