package fleet

import (
	"cmp"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/redisconn"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

// A room that is split over the masters of a cluster is one queue: one order, one rate,
// one cap, one board. The loss of the master of one shard holds it up and changes nothing.
func TestQ1Q6_ARoomThatIsSplitOverAClusterIsOneQueue(t *testing.T) {
	t.Parallel()
	servers := devstack.Cluster(t)
	rdb, err := redisconn.Open(servers.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	const shards, fans, rate, cap = 4, 2000, 400, 1000
	s := queue.Settings{Rate: rate, Per: time.Second, Burst: 20, Active: cap, Shards: shards,
		Session: time.Hour, ClaimWithin: time.Hour, AbandonAfter: time.Hour}
	open := func() *queue.Queue {
		q := queue.Open(rdb, "arena")
		q.Split(shards)
		return q
	}
	q := open()
	homes := map[string]bool{}
	for i := range shards {
		home, err := servers.MasterOf(t.Context(), rediskey.ForShard("arena", i).Queue)
		if err != nil {
			t.Fatal(err)
		}
		homes[home] = true
	}
	if len(homes) < 2 {
		t.Fatalf("all shards live on %v", homes)
	}

	entries := make([]queue.Entry, fans)
	for i := range entries {
		v, err := place.NewVisitor(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		entries[i].Visitor = v
	}
	placings, err := q.JoinBatch(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	places := make([]queue.Place, fans)
	for i, p := range placings {
		places[i] = queue.Place{Visitor: entries[i].Visitor, Score: p.Score}
	}
	slices.SortFunc(places, func(a, b queue.Place) int { return cmp.Compare(a.Score, b.Score) })
	board, err := q.Board(t.Context())
	if err != nil || board.Waiting() != fans {
		t.Fatal(board, err)
	}
	for i, p := range places {
		if i > 0 && p.Score == places[i-1].Score {
			continue // given by two shards in one microsecond
		}
		if got, want := board.Position(p.Score), i+1; got < want || got > want+want/500+1 || i < 900 && got != want {
			t.Fatalf("place %d has position %d", i, got)
		}
	}

	if err := q.Configure(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	begun, err := q.Tick(t.Context(), queue.TickInput{})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var edges sync.WaitGroup
	for range 3 {
		edges.Go(func() {
			edge := open()
			ticker := time.NewTicker(50 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-stop:
					return
				case <-ticker.C:
				}
				got, err := edge.Tick(t.Context(), queue.TickInput{Limit: queue.NoLimit})
				if err != nil {
					continue // a master is being replaced
				}
				// The time is that of the survey, a moment before the decision: a tenth of a second here.
				if most := s.Burst + int(rate*got.Now.Sub(begun.Now).Seconds()) + rate/10; int(got.AdmittedTotal) > most || got.Turns+got.Active > cap {
					t.Errorf("%d admitted and %d inside after %v", got.AdmittedTotal, got.Turns+got.Active, got.Now.Sub(begun.Now))
					return
				}
			}
		})
	}
	admitted := func() int {
		got, err := q.Tick(t.Context(), queue.TickInput{Limit: 0})
		if err != nil {
			return -1
		}
		return int(got.AdmittedTotal)
	}
	eventually.Within(t, 30*time.Second, "some are in", func() bool { return admitted() >= 200 })
	key := rediskey.ForShard("arena", 2).Queue
	lost := servers.KillMaster(key)
	servers.AwaitMaster(key, lost)
	// The edges of a real sale enter again what the last moments before a failover lost.
	eventually.Within(t, 30*time.Second, "everybody is known again, and the cap is reached", func() bool {
		if _, err := q.Reenter(t.Context(), places); err != nil {
			return false
		}
		if err := q.Configure(t.Context(), s); err != nil {
			return false
		}
		return admitted() >= cap-50
	})
	close(stop)
	edges.Wait()

	in, first := 0, -1
	for i, p := range places {
		_, err := q.Claim(t.Context(), p.Visitor, queue.Vouch{})
		switch {
		case err == nil:
			in++
			if first >= 0 && p.Score > places[first].Score {
				t.Fatalf("place %d is in and place %d is not", i, first)
			}
		case errors.Is(err, queue.ErrNotYet) && first < 0:
			first = i
		}
	}
	if in < cap-100 || in > cap {
		t.Fatalf("%d are in with a cap of %d", in, cap)
	}
}
