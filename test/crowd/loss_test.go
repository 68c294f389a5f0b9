package crowd

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// The places of an evening. Those of streams and polls have a fan who is there; the
// others were left by people who never come back, and stand between them.
const (
	places    = 100_000
	streams   = 2_000
	polls     = 1_000
	chunks    = 10
	meanwhile = 150 // fans who come while Redis is away
	atTheRate = 20  // a second
	words     = "Doors at eight."
)

// evening is a room of 100,000 places whose Redis is about to be lost.
type evening struct {
	t       *testing.T
	redis   *devstack.RedisServer
	dir     string // the server's
	edge    *edge
	in      *insiders
	used    []*person // their places are spent and their sessions over
	seen    *ledger
	fans    *crowd // with streams, and pollers
	late    *crowd // those who come meanwhile
	before  map[place.Visitor]place.Score
	entered int
}

func begin(t *testing.T) *evening {
	t.Helper()
	e := &evening{t: t, redis: devstack.Redis(t)}
	e.dir = e.config("dir")
	e.edge = startEdge(t, caddyfile{redis: e.redis.URL(), keys: t.TempDir(), site: site(t), admit: fmt.Sprintf("%d/s", atTheRate)})
	e.in = enter(t, 4, e.edge)
	for range 3 {
		p := newPerson(t, e.edge)
		p.goIn()
		e.used = append(e.used, p)
	}
	e.edge.order("message", arena, words)
	e.edge.order("pause", arena)
	e.fill()
	e.seen = watch(t, e.redis.Client(), 1)
	return e
}

func (e *evening) config(name string) string {
	e.t.Helper()
	got, err := e.redis.Client().ConfigGet(e.t.Context(), name).Result()
	if err != nil {
		e.t.Fatal(err)
	}
	return got[name]
}

// fill lets everybody come, those who stay among those who do not.
func (e *evening) fill() {
	e.t.Helper()
	q := queue.Open(e.redis.Client(), arena)
	e.fans, e.late = come(e.t, streams+polls, e.edge), come(e.t, meanwhile, e.edge)
	for range chunks {
		e.fans.arrive(streams/chunks, false)
		e.fans.arrive(polls/chunks, true)
		entries := make([]queue.Entry, (places-streams-polls)/chunks)
		for i := range entries {
			v, err := place.NewVisitor(rand.Reader)
			if err != nil {
				e.t.Fatal(err)
			}
			entries[i].Visitor = v
		}
		if _, err := q.JoinBatch(e.t.Context(), entries); err != nil {
			e.t.Fatal(err)
		}
	}
	e.fans.hears("before the loss")
	e.edge.says("the edge knows all places", func(r report) bool { return r.Waiting == places && r.Message == words })
	if e.t.Failed() {
		e.t.FailNow()
	}
}

// open lets the room admit, until some are in.
func (e *evening) open(some int) {
	e.t.Helper()
	e.edge.order("resume", arena)
	eventually.Within(e.t, patience, "some are let in", func() bool { return len(e.seen.admitted()) >= some })
}

// knows is the moment before the loss: who is there, and with which place.
func (e *evening) knows() {
	e.t.Helper()
	e.before = scoresOf(e.fans.spots())
	for _, p := range e.used { // the place goes with the session; a thief keeps the cookie
		_, _, cookie := p.place()
		if code, text, err := p.act(http.MethodPost, "leave"); err != nil || code != http.StatusNoContent {
			e.t.Fatalf("leaving: %d %s %v", code, text, err)
		}
		request, err := http.NewRequest(http.MethodGet, p.edge, nil)
		if err != nil {
			e.t.Fatal(err)
		}
		p.http.Jar.SetCookies(request.URL, []*http.Cookie{{Name: cookie.Name, Value: cookie.Value, Path: "/"}})
	}
}

// meanwhileComes lets fans come for as long as what is done takes.
func (e *evening) meanwhileComes(over time.Duration, done func()) {
	e.t.Helper()
	var coming sync.WaitGroup
	coming.Go(func() { e.late.ask(ask{Do: "arrive", Fans: meanwhile, Every: over / meanwhile}) })
	done()
	coming.Wait()
}

// everybodyIsBack: whoever is there has their place in Redis, at the same score.
func (e *evening) everybodyIsBack() {
	e.t.Helper()
	e.edge.says("the edge has Redis again", func(r report) bool { return !r.Degraded })
	nobodyIsLost(e.t, e.seen, append(e.fans.spots(), e.late.spots()...))
	for v, score := range scoresOf(e.fans.spots()) {
		if e.before[v] != score {
			e.t.Errorf("Q5: the place of %s went from %d to %d", v, e.before[v], score)
		}
	}
}

// settingsAreBack: what the file and the operator said before holds again.
func (e *evening) settingsAreBack(state string) {
	e.t.Helper()
	e.edge.says("settings, pause and message are back", func(r report) bool {
		return r.State == state && r.Message == words && r.Rate == atTheRate
	})
	var rate string
	eventually.Within(e.t, patience, "they are in Redis", func() bool {
		rate, _ = e.redis.Client().HGet(e.t.Context(), e.seen.keys[0].Room, "rate").Result()
		return rate == fmt.Sprint(atTheRate)
	})
}

// spentIsRefused: a place that was used up is no place after the loss either.
func (e *evening) spentIsRefused() {
	e.t.Helper()
	for _, p := range e.used {
		v, score, _ := p.place()
		if _, _, err := p.act(http.MethodGet, "status"); err != nil {
			e.t.Error(err)
		}
		if code, text, err := p.act(http.MethodPost, "claim"); err != nil || code != http.StatusGone && code != http.StatusNotFound {
			e.t.Errorf("a spent place was claimed again: %d %s %v", code, text, err)
		}
		if there, err := e.seen.waiting(e.t.Context()); err != nil || there[v] != 0 {
			e.t.Errorf("a spent place with the score %d waits again, at %d (%v)", score, there[v], err)
		}
	}
}

// goesOn lets more in and settles the account.
func (e *evening) goesOn(injected string) {
	e.t.Helper()
	at := len(e.seen.admitted())
	eventually.Within(e.t, patience, "the sale goes on", func() bool {
		return len(e.seen.admitted()) >= at+5*atTheRate && e.fans.tell().Inside > 0
	})
	e.fans.hears("after the loss")
	e.late.hears("after the loss")
	nobodyIsLost(e.t, e.seen, append(e.fans.spots(), e.late.spots()...))
	told := e.fans.content()
	late := e.late.content()
	asked, _ := e.in.content(e.t, false)
	scores := scoresOf(append(e.fans.spots(), e.late.spots()...))
	turns := e.seen.settle(e.t, scores)
	account.row(injected, "%d of %d fans who were there have the same score (%d on streams, %d polling), %d who came meanwhile the one they were told; %d places spent and refused; %d turns in order; %d requests with a pass, none failed",
		told.Fans, streams+polls, streams, polls, late.Fans, len(e.used), turns, asked)
}

func TestQ5_RedisIsFlushedWhileTheRoomAdmits(t *testing.T) {
	t.Parallel()
	e := begin(t)
	e.open(2 * atTheRate)
	e.fans.asks("while the room admits") // those who poll were told to be back in half a minute
	e.knows()
	e.meanwhileComes(10*time.Second, func() {
		if err := e.redis.Client().FlushAll(t.Context()).Err(); err != nil {
			t.Error(err)
		}
	})
	e.everybodyIsBack()
	e.settingsAreBack("open")
	e.spentIsRefused()
	e.goesOn(fmt.Sprintf("FLUSHALL with %d places, while the room admits", places))
}

func TestQ5_RedisIsKilledAndComesBackEmpty(t *testing.T) {
	t.Parallel()
	e := begin(t)
	e.open(2 * atTheRate)
	e.edge.order("pause", arena)
	e.edge.says("the room is paused", func(r report) bool { return r.State == "paused" })
	e.knows()
	e.redis.Kill()
	e.late.arrive(meanwhile/2, false)
	e.edge.says("the edge knows that Redis is away", func(r report) bool { return r.Degraded })
	e.late.arrive(meanwhile/2, false)
	e.redis.Start()
	e.everybodyIsBack()
	e.settingsAreBack("paused")
	e.spentIsRefused()
	e.edge.order("resume", arena)
	e.goesOn(fmt.Sprintf("kill -9 of Redis with %d places, started again empty, in a paused room", places))
}

// outage is how long Redis does not answer.
const outage = 60 * time.Second

func TestQ5_RedisDoesNotAnswerForAMinute(t *testing.T) {
	t.Parallel()
	e := begin(t)
	e.open(2 * atTheRate)
	e.knows()
	e.redis.Pause()
	over := time.After(outage)
	e.edge.says("the edge knows that Redis is away", func(r report) bool { return r.Degraded })
	e.meanwhileComes(outage/2, func() {})
	e.fans.hears("during the outage")
	<-over
	e.redis.Resume()
	e.everybodyIsBack()
	e.settingsAreBack("open")
	e.spentIsRefused()
	e.goesOn(fmt.Sprintf("%v of outage of Redis with %d places, joins going on", outage, places))
}

func TestQ5_RedisComesBackWithAnOldSnapshot(t *testing.T) {
	t.Parallel()
	e := begin(t)
	e.open(atTheRate)
	if err := e.redis.Client().Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	at := len(e.seen.admitted())
	e.late.ask(ask{Do: "arrive", Fans: meanwhile}) // of whom the snapshot knows nothing
	eventually.Within(t, patience, "some more are let in, of whom it knows nothing either", func() bool { return len(e.seen.admitted()) >= at+3*atTheRate })
	e.knows()
	e.redis.Kill()
	if _, err := os.Stat(filepath.Join(e.dir, "dump.rdb")); err != nil {
		t.Fatal(err)
	}
	e.redis.Start()
	if n, err := e.redis.Client().ZCard(context.WithoutCancel(t.Context()), e.seen.keys[0].Queue).Result(); err != nil || n < places/2 {
		t.Fatalf("the snapshot was not read: %d places, %v", n, err)
	}
	e.everybodyIsBack()
	e.settingsAreBack("open")
	e.spentIsRefused()
	e.goesOn(fmt.Sprintf("Redis with %d places is killed and comes back as it was some seconds before", places))
}
