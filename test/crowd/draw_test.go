package crowd

import (
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

const (
	entrants = 20_000
	watching = 200 // of them have a stream
	parts    = 4
	lobby    = 25 * time.Second // until the room opens
	winners  = 100
)

// coin is a beacon that comes when the test wants it to.
type coin struct {
	url   string
	known atomic.Bool
}

func newCoin(t *testing.T) *coin {
	c := &coin{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.known.Load() {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "heads")
	}))
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

// lottery is a lobby that is about to be drawn.
type lottery struct {
	t     *testing.T
	redis *devstack.RedisServer
	q     *queue.Queue
	seen  *ledger
	opens time.Time
}

func TestQ7_TheEdgeThatDrawsIsKilledAndAnotherFinishes(t *testing.T) {
	t.Parallel()
	l := &lottery{t: t, redis: devstack.Redis(t), opens: time.Now().Add(lobby).Truncate(time.Second)}
	l.q = queue.Open(l.redis.Client(), arena)
	l.q.Split(parts)
	coin := newCoin(t)
	file := caddyfile{redis: l.redis.URL(), keys: t.TempDir(), site: site(t), admit: "20/s", room: fmt.Sprintf(
		"opens %s\nlobby 1h\nshards %d\nbeacon \"the coin of this test\" %s", l.opens.UTC().Format(time.RFC3339), parts, coin.url)}
	first := startEdge(t, file)
	second := newEdge(t, file)
	l.seen = watch(t, l.redis.Client(), parts)
	before := l.fetch(first, "draw")

	fans := come(t, watching, first, second)
	l.fill(fans)
	l.reaches(queue.Frozen)
	leader := l.leader()
	second.start()

	// Redis takes the drawn places of two parts of four: the draw stands half-way.
	l.acl("-zadd", "(+zadd ~tickets:{arena}:* ~tickets:{arena.1}:*)")
	coin.known.Store(true)
	l.reaches(queue.Drawn)
	eventually.Within(t, patience, "half of the places are drawn", func() bool { return l.undrawn(0)+l.undrawn(1) == 0 })
	left := l.undrawn(2) + l.undrawn(3)
	if left < entrants/3 || l.leader() != leader {
		t.Fatalf("%d are left in the lobby; %q led the draw and %q does", left, leader, l.leader())
	}
	first.process.Kill()
	l.acl("clearselectors", "+zadd")
	second.says("the other edge has finished the draw and opens", func(r report) bool { return r.State == "open" })

	scores := l.scores(second)
	if len(scores) != entrants {
		t.Fatalf("%d entrants were drawn, %d came", len(scores), entrants)
	}
	eventually.Within(t, patience, "some are let in", func() bool { return len(l.seen.admitted()) >= winners })
	second.order("pause", arena)
	second.says("the room is paused", func(r report) bool { return r.State == "paused" })
	turns := l.inOrder(scores)
	l.holds(second, before, scores)
	eventually.Within(t, patience, "every fan has a stream at the other edge", func() bool {
		told := fans.tell()
		return told.Open+told.Admitted+told.Inside == watching
	})
	if told := fans.tell(); told.Odds > 0 {
		t.Error(told.Odd)
	}
	account.row(fmt.Sprintf("kill -9 of the edge that draws %d entrants, with %d of them still undrawn", entrants, left),
		"another edge finishes it: each entrant has the score that follows from the public record, verify-draw says that all holds, %d turns by score", turns)
}

// fill brings everybody into the lobby.
func (l *lottery) fill(fans *crowd) {
	l.t.Helper()
	fans.arrive(watching, false)
	entries := make([]queue.Entry, entrants-watching)
	for i := range entries {
		v, err := place.NewVisitor(rand.Reader)
		if err != nil {
			l.t.Fatal(err)
		}
		entries[i] = queue.Entry{Visitor: v, Draw: l.opens.Unix()}
	}
	if _, err := l.q.JoinBatch(l.t.Context(), entries); err != nil {
		l.t.Fatal(err)
	}
	if late := time.Since(l.opens); late > 0 {
		l.t.Fatalf("it took %v too long to fill the lobby", late)
	}
}

func (l *lottery) reaches(stage queue.Stage) {
	l.t.Helper()
	eventually.Within(l.t, patience, fmt.Sprintf("the draw reaches stage %d", stage), func() bool {
		record, err := l.q.Draw(l.t.Context())
		return err == nil && record.Stage == stage
	})
}

func (l *lottery) leader() string {
	l.t.Helper()
	leader, err := l.redis.Client().Get(l.t.Context(), l.seen.keys[0].Leader).Result()
	if err != nil {
		l.t.Fatal(err)
	}
	return leader
}

// undrawn is how many are still in the lobby in a part of the room.
func (l *lottery) undrawn(part int) int {
	l.t.Helper()
	score := strconv.FormatUint(uint64(place.Tier(0).Undrawn()), 10)
	n, err := l.redis.Client().ZCount(l.t.Context(), l.seen.keys[part].Queue, score, score).Result()
	if err != nil {
		l.t.Fatal(err)
	}
	return int(n)
}

// acl changes what the edges may do in Redis.
func (l *lottery) acl(rules ...any) {
	l.t.Helper()
	if err := l.redis.Client().Do(l.t.Context(), append([]any{"ACL", "SETUSER", "default"}, rules...)...).Err(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lottery) fetch(e *edge, what string) (text string) {
	l.t.Helper()
	p := newPerson(l.t, e)
	eventually.Within(l.t, patience, "the edge publishes its "+what, func() bool {
		code, body, err := p.act(http.MethodGet, what)
		text = body
		return err == nil && code == http.StatusOK
	})
	return text
}

// scores follow from what is public; everybody who waits has theirs.
func (l *lottery) scores(e *edge) map[place.Visitor]place.Score {
	l.t.Helper()
	record, err := draw.ParseRecord([]byte(l.fetch(e, "draw")))
	if err != nil {
		l.t.Fatal(err)
	}
	raw := l.fetch(e, "draw/cohort")
	scores := map[place.Visitor]place.Score{}
	for entry := range slices.Chunk([]byte(raw), len(place.Visitor{})+1) {
		who := draw.Entrant{Visitor: place.Visitor(entry[:16]), Tier: place.Tier(entry[16])}
		scores[who.Visitor] = record.Score(who)
	}
	there, err := l.seen.waiting(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	for v, score := range there {
		if scores[v] != score {
			l.t.Errorf("%s was drawn %d and waits at %d", v, scores[v], score)
		}
	}
	return scores
}

// inOrder is Q1: those who were let in are those with the lowest scores.
func (l *lottery) inOrder(scores map[place.Visitor]place.Score) int {
	l.t.Helper()
	l.seen.stop()
	l.seen.look(l.t.Context())
	there, err := l.seen.waiting(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	next := slices.Min(slices.Collect(maps.Values(there)))
	turns := l.seen.admitted()
	if len(turns)+len(there) != entrants {
		l.t.Errorf("%d were let in and %d wait, of %d", len(turns), len(there), entrants)
	}
	for v := range turns {
		if scores[v] == 0 || scores[v] > next {
			l.t.Errorf("Q1: %s was let in at %d, and one waits at %d", v, scores[v], next)
		}
	}
	for _, odd := range l.seen.odd {
		l.t.Error(odd)
	}
	return len(turns)
}

// holds asks the command, as anybody can, for the whole draw and for the next in line.
func (l *lottery) holds(e *edge, before string, scores map[place.Visitor]place.Score) {
	l.t.Helper()
	kept := filepath.Join(l.t.TempDir(), "before.json")
	if err := os.WriteFile(kept, []byte(before), 0o600); err != nil {
		l.t.Fatal(err)
	}
	for v, score := range scores {
		out, err := exec.Command(binary, "verify-draw", "http://"+e.address, "--room", arena, "--before", kept, //nolint:gosec // our own binary
			"--visitor", v.String(), "--score", strconv.FormatUint(uint64(score), 10)).CombinedOutput()
		if err != nil {
			l.t.Errorf("verify-draw: %v\n%s", err, out)
		}
		l.t.Logf("%s", out)
		return
	}
}
