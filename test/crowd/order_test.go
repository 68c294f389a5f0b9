package crowd

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

// claimWithin is that of every room here; a turn in Redis ends so long after its admission.
const claimWithin = 5 * time.Minute

// ledger watches the room in Redis from outside of the edges: whose turn came when.
type ledger struct {
	rdb  *redis.Client
	keys []rediskey.Room // of each part of the room
	stop func()

	mu    sync.Mutex
	turns map[place.Visitor]time.Time // guarded by mu, as is what follows; by Redis' clock
	odd   []string
}

func watch(t *testing.T, rdb *redis.Client, parts int) *ledger {
	l := &ledger{rdb: rdb, turns: map[place.Visitor]time.Time{}}
	for i := range parts {
		l.keys = append(l.keys, rediskey.ForShard(arena, i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() {
		for ticker := time.NewTicker(50 * time.Millisecond); ctx.Err() == nil; {
			l.look(ctx)
			select {
			case <-ctx.Done():
				ticker.Stop()
			case <-ticker.C:
			}
		}
	})
	l.stop = sync.OnceFunc(func() { cancel(); loop.Wait() })
	t.Cleanup(l.stop)
	return l
}

// look takes a picture of each part at one moment. Nobody waits there whose turn came.
func (l *ledger) look(ctx context.Context) {
	for _, keys := range l.keys {
		pipe := l.rdb.TxPipeline()
		fronts := pipe.HGet(ctx, keys.Room, "fronts")
		first := pipe.ZRangeWithScores(ctx, keys.Queue, 0, 0)
		turns := pipe.ZRangeWithScores(ctx, keys.Turn, 0, -1)
		if _, err := pipe.Exec(ctx); err != nil {
			continue // no Redis, or none that knows the room
		}
		l.mu.Lock()
		front, _, _ := strings.Cut(fronts.Val(), " ")
		if passed, err := strconv.ParseUint(front, 10, 64); err == nil && len(first.Val()) > 0 && first.Val()[0].Score <= float64(passed) {
			l.oddLocked("Q1: a place with the score %.0f waits although the front is at %d", first.Val()[0].Score, passed)
		}
		for _, turn := range turns.Val() {
			v, at := place.Visitor([]byte(turn.Member.(string))), time.UnixMilli(int64(turn.Score)).Add(-claimWithin)
			if before, there := l.turns[v]; !there {
				l.turns[v] = at
			} else if !before.Equal(at) {
				l.oddLocked("%s was admitted twice", v)
			}
		}
		l.mu.Unlock()
	}
}

func (l *ledger) oddLocked(what string, args ...any) {
	if said := fmt.Sprintf(what, args...); len(l.odd) < mostOdd && !slices.Contains(l.odd, said) {
		l.odd = append(l.odd, said)
	}
}

// admitted is who has had a turn.
func (l *ledger) admitted() map[place.Visitor]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.turns)
}

// waiting is who waits, and with which score.
func (l *ledger) waiting(ctx context.Context) (map[place.Visitor]place.Score, error) {
	out := map[place.Visitor]place.Score{}
	for _, keys := range l.keys {
		there, err := l.rdb.ZRangeWithScores(ctx, keys.Queue, 0, -1).Result()
		if err != nil {
			return nil, err
		}
		for _, p := range there {
			out[place.Visitor([]byte(p.Member.(string)))] = place.Score(p.Score)
		}
	}
	return out, nil
}

// settle is Q1 over all that was seen: of those whose scores are known, who had the lower
// one came first, and nobody who had a turn waits again. It returns how many turns that were.
func (l *ledger) settle(t *testing.T, scores map[place.Visitor]place.Score) int {
	t.Helper()
	l.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, odd := range l.odd {
		t.Error(odd)
	}
	type turn struct {
		at    time.Time
		score place.Score
	}
	var turns []turn
	for v, at := range l.turns {
		if score, known := scores[v]; known {
			turns = append(turns, turn{at, score})
		}
	}
	slices.SortFunc(turns, func(a, b turn) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.score, b.score)) })
	for i := 1; i < len(turns); i++ {
		if a, b := turns[i-1], turns[i]; a.score > b.score {
			t.Errorf("Q1: admission %d at %v had the score %d, the one before it at %v had %d", i, b.at, b.score, a.at, a.score)
		}
	}
	there, err := l.waiting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for v := range l.turns {
		if score, again := there[v]; again {
			t.Errorf("%s had its turn and waits again, at %d", v, score)
		}
	}
	return len(turns)
}
