package crowd

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

const (
	parkedFans = 15_000
	reloads    = 20
	joining    = 600 // fans who come while the edge reloads
)

func TestQ2_TwentyReloadsAndAStopCostNobodyTheirPlace(t *testing.T) {
	t.Parallel()
	redis := devstack.Redis(t)
	file := caddyfile{redis: redis.URL(), keys: t.TempDir(), site: site(t), admit: "20/s"}
	first, second := startEdge(t, file), startEdge(t, file)
	in := enter(t, 4, first)
	seen := watch(t, redis.Client(), 1)
	first.order("pause", arena)

	parked := come(t, parkedFans, first, second)
	parked.arrive(parkedFans, false)
	late := come(t, joining, first, second)
	everybody := func() []spot { return append(parked.spots(), late.spots()...) }
	parked.hears("before the reloads")
	if there, err := seen.waiting(t.Context()); err != nil || len(there) != parkedFans {
		t.Fatalf("%d places in Redis, %v", len(there), err)
	}
	first.order("resume", arena)

	came := make(chan struct{})
	go func() {
		defer close(came)
		late.ask(ask{Do: "arrive", Fans: joining, Every: 20 * time.Millisecond})
	}()
	for i := range reloads {
		rate := 1 + i%5
		first.reload(fmt.Sprintf("%d/s", rate))
		given := time.Now()
		for _, e := range []*edge{first, second} {
			e.says(fmt.Sprintf("reload %d: the rate is %d", i, rate), func(r report) bool { return r.Rate == rate })
		}
		t.Logf("reload %d: %d/s at both edges after %v", i, rate, time.Since(given).Round(time.Millisecond))
	}
	<-came
	parked.hears("after the reloads")
	late.hears("after the reloads")
	before := everybody()
	told := parked.content()
	late.content()
	nobodyIsLost(t, seen, before)
	turns := len(seen.admitted())
	if turns < reloads/2 {
		t.Errorf("%d turns in %d reloads: the rates did not act", turns, reloads)
	}
	if told.Farewells > 0 || told.Open+told.Admitted+told.Inside != parkedFans {
		t.Errorf("of %d fans %d keep their streams, %d were admitted, %d were sent away", parkedFans, told.Open, told.Admitted+told.Inside, told.Farewells)
	}
	asked, again := in.content(t, true)
	account.row(fmt.Sprintf("%d reloads with %d parked fans, %d fans joining meanwhile", reloads, parkedFans, joining),
		"%d streams on their own connection, %d fans admitted, no place lost, no position up; %d requests with a pass, none failed, %d sent again over a new connection", told.Open, turns, asked, again)

	stays := scoresOf(before)
	first.process.Stop(syscall.SIGTERM)
	eventually.Within(t, patience, "everybody is at the other edge", func() bool {
		a, b := parked.tell(), late.tell()
		return a.Open+a.Admitted+a.Inside == a.Fans && b.Open+b.Admitted+b.Inside == b.Fans
	})
	parked.hears("at the other edge")
	told = parked.content()
	late.content()
	if told.Farewells < told.Open || told.Moments < told.Farewells/4 || told.Latest-told.Soonest < 10_000 || told.Soonest < 500 {
		t.Errorf("%d of %d fans were asked to come back, at %d different moments from %d to %d ms", told.Farewells, told.Open, told.Moments, told.Soonest, told.Latest)
	}
	after := everybody()
	nobodyIsLost(t, seen, after)
	for v, score := range scoresOf(after) {
		if stays[v] != score {
			t.Errorf("Q5: the place of %s went from %d to %d", v, stays[v], score)
		}
	}
	seen.settle(t, scoresOf(after))
	account.row(fmt.Sprintf("an edge stops with %d parked fans", told.Farewells),
		"each was asked back at one of %d moments from %.1f to %.1f s; all are at the other edge with their scores, no position up", told.Moments, float64(told.Soonest)/1000, float64(told.Latest)/1000)
}

// scoresOf are the scores that fans have.
func scoresOf(spots []spot) map[place.Visitor]place.Score {
	out := make(map[place.Visitor]place.Score, len(spots))
	for _, s := range spots {
		out[s.visitor()] = s.Score
	}
	return out
}

// lost is who waits and is not in the queue at their own score.
func lost(there map[place.Visitor]place.Score, turns map[place.Visitor]time.Time, spots []spot) (lost []spot) {
	for _, s := range spots {
		_, had := turns[s.visitor()]
		if there[s.visitor()] != s.Score && !had && s.State == waiting {
			lost = append(lost, s)
		}
	}
	return lost
}

// nobodyIsLost waits until everybody who waits is in the queue at their own score.
func nobodyIsLost(t *testing.T, seen *ledger, spots []spot) {
	t.Helper()
	var missing []spot
	defer func() {
		if t.Failed() && len(missing) > 0 {
			there, err := seen.waiting(t.Context())
			t.Logf("%d are lost, such as %+v, whose score in Redis is %d (%v)", len(missing), missing[0], there[missing[0].visitor()], err)
		}
	}()
	eventually.Within(t, patience, "everybody who waits is in the queue", func() bool {
		there, err := seen.waiting(t.Context())
		missing = lost(there, seen.admitted(), spots)
		return err == nil && len(missing) == 0
	})
}
