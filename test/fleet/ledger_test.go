package fleet

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

// claimWithin is that of every room here; a turn in Redis ends so long after its admission.
const claimWithin = 5 * time.Minute

const (
	// unseenFor is how long a fan who was told of its turn waits for the ledger.
	unseenFor = 2 * time.Second
	// mostUnseen is how many turns a failover may lose before the ledger has seen
	// them: those of a tick or two.
	mostUnseen = 6
)

// ledger watches a room in Redis from outside of the edges: whose turn came when.
// Fans claim only what it has seen, so nothing is missed.
type ledger struct {
	rdb  redis.UniversalClient
	keys rediskey.Room

	mu    sync.Mutex
	turns map[place.Visitor]time.Time // guarded by mu; when each was admitted first, by Redis' clock
	again []place.Visitor             // admitted a second time
}

func watch(t *testing.T, rdb redis.UniversalClient, room string) *ledger {
	l := &ledger{rdb: rdb, keys: rediskey.For(room), turns: map[place.Visitor]time.Time{}}
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() {
		for pause(ctx, 20*time.Millisecond) {
			l.look(ctx)
		}
	})
	t.Cleanup(func() { cancel(); loop.Wait() })
	return l
}

func (l *ledger) look(ctx context.Context) {
	turns, err := l.rdb.ZRangeWithScores(ctx, l.keys.Turn, 0, -1).Result()
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, turn := range turns {
		v := place.Visitor([]byte(turn.Member.(string)))
		at := time.UnixMilli(int64(turn.Score)).Add(-claimWithin)
		if before, there := l.turns[v]; !there {
			l.turns[v] = at
		} else if !before.Equal(at) && !slices.Contains(l.again, v) {
			l.again = append(l.again, v)
		}
	}
}

func (l *ledger) admitted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.turns)
}

func (l *ledger) has(v place.Visitor) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, there := l.turns[v]
	return there
}

// scores are those of the places in Redis now.
func (l *ledger) scores(t *testing.T) map[place.Visitor]place.Score {
	t.Helper()
	var waiting []redis.Z
	eventually.Holds(t, "Redis tells who waits", func() (ok bool) {
		var err error
		waiting, err = l.rdb.ZRangeWithScores(t.Context(), l.keys.Queue, 0, -1).Result()
		return err == nil
	})
	out := map[place.Visitor]place.Score{}
	for _, p := range waiting {
		out[place.Visitor([]byte(p.Member.(string)))] = place.Score(p.Score)
	}
	return out
}

// admission is one turn.
type admission struct {
	visitor place.Visitor
	score   place.Score
	at      time.Time
}

// inOrder lists the admissions of those whose scores are known, by time.
func (l *ledger) inOrder(scores map[place.Visitor]place.Score) []admission {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []admission
	for v, at := range l.turns {
		if score, known := scores[v]; known {
			out = append(out, admission{v, score, at})
		}
	}
	slices.SortFunc(out, func(a, b admission) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.score, b.score))
	})
	return out
}

// checkOrder is Q1: of two places that both stayed, the lower score came first.
func checkOrder(t *testing.T, admissions []admission) {
	t.Helper()
	for i := 1; i < len(admissions); i++ {
		if a, b := admissions[i-1], admissions[i]; a.score > b.score {
			t.Errorf("Q1: admission %d at %v had the score %d, the one before it at %v had %d", i, b.at, b.score, a.at, a.score)
		}
	}
}

// checkRate is Q6: in every window at most rate × window + burst.
func checkRate(t *testing.T, admissions []admission, rate, burst int) {
	t.Helper()
	for i := range admissions {
		for j := i; j < len(admissions); j++ {
			window := admissions[j].at.Sub(admissions[i].at)
			if n, most := j-i+1, float64(rate)*window.Seconds()+float64(burst); float64(n) > most+1e-6 {
				t.Errorf("Q6: %d admissions within %v, at most %.1f may be", n, window, most)
				return
			}
		}
	}
}
