package fleet

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/eventually"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
	"github.com/caddy-tickets/caddy-tickets/internal/redisconn"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// rooms are one waiting room in three processes, or as good as: each has a client
// of its own and knows of the others only through Redis.
type rooms []*room.Room

func settings(name string) room.Config {
	return room.Config{
		Name: name, Settle: 3 * time.Second, Pace: 200 * time.Millisecond, Drain: time.Millisecond,
		Queue: queue.Settings{
			Rate: 20, Per: time.Second, Burst: 5, Active: 10_000,
			Session: 10 * time.Minute, ClaimWithin: claimWithin, AbandonAfter: 5 * time.Minute,
		},
	}
}

func openRooms(t *testing.T, url string, cfg room.Config) rooms {
	t.Helper()
	var all rooms
	for range 3 {
		rdb, err := redisconn.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = rdb.Close() })
		r := room.New(room.Deps{Queue: queue.Open(rdb, cfg.Name)}, cfg)
		r.Start()
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), eventually.Patience)
			defer cancel()
			if err := r.Close(ctx); err != nil {
				t.Error(err)
			}
		})
		all = append(all, r)
	}
	all.until(t, "it has its settings", func(v *room.View) bool { return len(v.Generations) != 0 && !v.Differs })
	return all
}

// until waits until every room is as wanted.
func (all rooms) until(t *testing.T, what string, holds func(*room.View) bool) {
	t.Helper()
	for _, r := range all {
		eventually.Within(t, 30*time.Second, what, func() bool { return holds(r.View()) })
	}
}

// guest is one fan: half of them hold a stream, the others poll.
type guest struct {
	rooms rooms
	at    int

	mu     sync.Mutex
	tok    place.Token
	score  place.Score // as first given
	passes int         // claims that gave a new session
	odd    []string
}

// arrive joins at one room and lives on until it has its pass.
func arrive(t *testing.T, l *ledger, all rooms, i int, life *sync.WaitGroup) *guest {
	t.Helper()
	v, err := place.NewVisitor(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{rooms: all, at: i}
	eventually.Holds(t, "a fan gets a place", func() bool {
		j, err := all[i%len(all)].Join(t.Context(), place.Token{Visitor: v}, room.JoinOptions{})
		g.tok, g.score = j.Token, j.Token.Score
		return err == nil
	})
	life.Go(func() { g.live(t.Context(), l, i%2 == 0) })
	return g
}

// live is what a page does: it keeps the newest token, and claims when told.
func (g *guest) live(ctx context.Context, l *ledger, parked bool) {
	stream := make(chan struct{})
	if parked {
		go g.listen(ctx, stream)
	}
	var told time.Time
	for ctx.Err() == nil {
		r := g.rooms[g.at%len(g.rooms)]
		if !parked {
			g.at++ // another edge with every request
			g.poll(ctx, r)
		}
		if !r.View().Passed(g.token().Score) {
			told = time.Time{}
		} else if told.IsZero() {
			told = time.Now()
		}
		// The ledger is to see the turn before it is used up, unless it is lost.
		if seen := l.has(g.token().Visitor); !told.IsZero() && (seen || time.Since(told) > unseenFor) && g.claim(ctx, r) {
			return
		}
		pause(ctx, 50*time.Millisecond)
	}
}

func (g *guest) token() place.Token {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tok
}

func (g *guest) poll(ctx context.Context, r *room.Room) {
	got, err := r.Refresh(ctx, g.token())
	if err != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if got.Token.Score != g.score {
		g.odd = append(g.odd, fmt.Sprintf("the score was %d and is %d", g.score, got.Token.Score))
	}
	g.tok = got.Token
}

// listen holds a parked stream until the turn comes.
func (g *guest) listen(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	for ctx.Err() == nil {
		ours, theirs := net.Pipe()
		err := g.rooms[g.at%len(g.rooms)].Park(func() (net.Conn, error) { return theirs, nil }, []byte("\n"), g.token(), 0)
		if err != nil {
			_ = ours.Close()
			pause(ctx, 50*time.Millisecond)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = ours.Close() })
		for lines := bufio.NewScanner(ours); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "event: admitted") {
				stop()
				_ = ours.Close()
				return
			}
		}
		stop()
		_ = ours.Close()
	}
}

func (g *guest) claim(ctx context.Context, r *room.Room) (over bool) {
	got, err := r.Claim(ctx, g.token())
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		if !got.Again || g.passes == 0 { // the answer to an earlier claim may have been lost
			g.passes++
		}
		return true
	case errors.Is(err, queue.ErrNotYet), errors.Is(err, queue.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		return false
	}
	g.odd = append(g.odd, "claiming: "+err.Error())
	return true
}

func (g *guest) hasPass() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passes > 0
}

// scoresOf are the guests' own scores.
func scoresOf(guests []*guest) map[place.Visitor]place.Score {
	out := map[place.Visitor]place.Score{}
	for _, g := range guests {
		out[g.token().Visitor] = g.score
	}
	return out
}

// fleets are the kinds of Redis that fail over.
var fleets = map[string]func(testing.TB) devstack.Fleet{
	"sentinel": func(tb testing.TB) devstack.Fleet { return devstack.Sentinel(tb) },
	"cluster":  func(tb testing.TB) devstack.Fleet { return devstack.Cluster(tb) },
}

// night is one room over a failover.
type night struct {
	t      *testing.T
	redis  devstack.Fleet
	key    string
	rooms  rooms
	ledger *ledger
	guests []*guest
	lives  sync.WaitGroup
}

func newNight(t *testing.T, begin func(testing.TB) devstack.Fleet) *night {
	t.Helper()
	servers := begin(t)
	rdb, err := redisconn.Open(servers.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	n := &night{t: t, redis: servers, key: rediskey.For("hall").Queue, rooms: openRooms(t, servers.URL(), settings("hall")), ledger: watch(t, rdb, "hall")}
	return n
}

func (n *night) pause() {
	n.t.Helper()
	n.order("pause", n.rooms[0].Pause)
	n.rooms.until(n.t, "it is paused", func(v *room.View) bool { return v.State == room.Paused })
}

func (n *night) resume() {
	n.t.Helper()
	n.order("resume", n.rooms[1].Resume)
}

func (n *night) arrive(count int) {
	n.t.Helper()
	for range count {
		n.guests = append(n.guests, arrive(n.t, n.ledger, n.rooms, len(n.guests), &n.lives))
	}
}

func (n *night) inside() (inside int) {
	for _, g := range n.guests {
		if g.hasPass() {
			inside++
		}
	}
	return inside
}

// everybodyWaits says whether every fan without a turn is in the queue at its own score.
func (n *night) everybodyWaits() bool {
	places, err := n.ledger.rdb.ZRangeWithScores(n.t.Context(), n.key, 0, -1).Result()
	if err != nil {
		return false
	}
	there := map[place.Visitor]place.Score{}
	for _, p := range places {
		there[place.Visitor([]byte(p.Member.(string)))] = place.Score(p.Score)
	}
	for _, g := range n.guests {
		if there[g.token().Visitor] != g.score && !n.ledger.has(g.token().Visitor) {
			return false
		}
	}
	return true
}

// end lets everybody in and settles the account.
func (n *night) end() {
	n.t.Helper()
	n.t.Cleanup(func() {
		if n.t.Failed() {
			n.explain()
		}
	})
	eventually.Within(n.t, 40*time.Second, "everybody is in", func() bool { return n.inside() == len(n.guests) })
	n.lives.Wait()
	admissions := n.ledger.inOrder(scoresOf(n.guests))
	checkOrder(n.t, admissions)
	checkRate(n.t, admissions, 20, 5)
	if unseen := len(n.guests) - len(admissions); unseen < 0 || unseen > mostUnseen {
		n.t.Errorf("%d fans, %d admissions", len(n.guests), len(admissions))
	}
	for i, g := range n.guests {
		if g.passes != 1 {
			n.t.Errorf("fan %d has %d passes", i, g.passes)
		}
		for _, odd := range g.odd {
			n.t.Errorf("fan %d: %s", i, odd)
		}
	}
}

// explain says where those are who are not in, for a test that failed.
func (n *night) explain() {
	for i, r := range n.rooms {
		v := r.View()
		n.t.Logf("room %d: %s, degraded %v, generations %v, fronts %v, %d waiting, %d turns, %d active, settings %+v", i, v.State, v.Degraded, v.Generations, v.Fronts, v.Waiting, v.Turns, v.Active, v.Settings)
	}
	for i, g := range n.guests {
		if tok := g.token(); !g.hasPass() {
			n.t.Logf("fan %d (parked: %v) is out: score %d, generation %d, seen admitted %v, %v", i, i%2 == 0, tok.Score, tok.Generation, n.ledger.has(tok.Visitor), g.odd)
		}
	}
}

func TestQ1Q6_AdmissionsThatAFailoverLosesAreNotMadeUpFor(t *testing.T) {
	t.Parallel()
	for name, begin := range fleets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNight(t, begin)
			n.pause()
			n.arrive(80)
			n.resume()
			eventually.Holds(t, "some are in", func() bool { return n.inside() >= 10 })
			thaw := n.redis.Freeze(n.key)
			was := n.inside()
			eventually.Holds(t, "some more are in, of which the next master will know nothing", func() bool { return n.inside() >= was+8 })
			killed := n.redis.KillMaster(n.key)
			thaw()
			n.redis.AwaitMaster(n.key, killed)
			n.end()
		})
	}
}

// A cluster spreads rooms over its masters, and the loss of one stops only its own.
func TestRoomsLiveOnDifferentMastersOfACluster(t *testing.T) {
	t.Parallel()
	servers := devstack.Cluster(t)
	rdb, err := redisconn.Open(servers.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	queues, homes := map[string]*queue.Queue{}, map[string][]string{}
	for i := range 9 {
		name := fmt.Sprintf("stage-%d", i)
		home, err := servers.MasterOf(t.Context(), rediskey.For(name).Queue)
		if err != nil {
			t.Fatal(err)
		}
		homes[home] = append(homes[home], name)
		q := queue.Open(rdb, name)
		queues[name] = q
		if err := q.Configure(t.Context(), settings(name).Queue); err != nil {
			t.Fatal(err)
		}
		join(t, q)
	}
	if len(homes) != 3 {
		t.Fatalf("the rooms live on %d masters: %v", len(homes), homes)
	}
	for home, names := range homes {
		if keys := keysAt(t, home); len(keys) == 0 || !strings.Contains(keys[0], "{stage-") {
			t.Errorf("%s is home to %v and holds %q", home, names, keys)
		}
	}
	lost := servers.KillMaster(rediskey.For("stage-0").Queue)
	for home, names := range homes {
		for _, name := range names {
			if home != lost {
				join(t, queues[name]) // at once
			}
		}
	}
	servers.AwaitMaster(rediskey.For("stage-0").Queue, lost)
	for _, name := range homes[lost] {
		eventually.Within(t, 5*time.Second, "the rooms of the lost master are served by its replica", func() bool {
			_, err := queues[name].Tick(t.Context(), queue.TickInput{Limit: 0})
			return err == nil
		})
	}
}

func join(t *testing.T, q *queue.Queue) {
	t.Helper()
	v, err := place.NewVisitor(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Join(t.Context(), queue.Entry{Visitor: v}); err != nil {
		t.Fatal(err)
	}
}

func keysAt(t *testing.T, addr string) []string {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = rdb.Close() }()
	keys, err := rdb.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (n *night) order(what string, give func(context.Context) error) {
	n.t.Helper()
	eventually.Holds(n.t, "the room takes the order to "+what, func() bool { return give(n.t.Context()) == nil })
}
