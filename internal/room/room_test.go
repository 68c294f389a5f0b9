package room

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/internal/hub"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// patience is how long a test waits for a real process.
const patience = 20 * time.Second

func usual() Config {
	return Config{
		Name:   "arena",
		Settle: time.Millisecond,
		Queue: queue.Settings{
			Rate: 1000, Per: time.Second, Burst: 1, Active: 1000, // a burst of one: one tick admits one fan
			Session: time.Minute, ClaimWithin: time.Minute, AbandonAfter: 2 * time.Minute,
		},
	}
}

// edge is a room whose loops the test turns by hand, against a real Redis.
type edge struct {
	*Room
	t     *testing.T
	clock *clock.Fake
	redis *devstack.RedisServer
}

func newEdge(t *testing.T, server *devstack.RedisServer, cfg Config) *edge {
	t.Helper()
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	options.DialTimeout, options.ReadTimeout, options.MaxRetries = 100*time.Millisecond, 250*time.Millisecond, -1
	rdb := redis.NewClient(options)
	clk := clock.NewFake(time.Now())
	r := New(Deps{Queue: queue.Open(rdb, cfg.Name), Clock: clk}, cfg)
	r.hub.Start()
	e := &edge{r, t, clk, server}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
		_ = rdb.Close()
	})
	return e
}

// openEdge is an edge that has its settings in Redis.
func openEdge(t *testing.T, cfg Config) *edge {
	t.Helper()
	e := newEdge(t, devstack.Redis(t), cfg)
	e.tick(t.Context())
	return e
}

// paused is a room where places stay where they are.
func paused(t *testing.T) *edge {
	t.Helper()
	e := openEdge(t, usual())
	if err := e.queue.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.tick(t.Context())
	return e
}

func (e *edge) resume() {
	e.t.Helper()
	if err := e.queue.(*queue.Queue).Resume(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
}

// until ticks until what is wanted has come true.
func (e *edge) until(what string, done func(*View) bool) {
	e.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for {
		e.tick(e.t.Context())
		e.reenterDue(e.t.Context())
		e.runDraw(e.t.Context())
		if done(e.View()) {
			return
		}
		select {
		case <-deadline:
			e.t.Fatalf("it never came to this: %s; view %+v", what, e.View())
		case <-ticker.C:
		}
	}
}

func visitor(t *testing.T) place.Token {
	t.Helper()
	v, err := place.NewVisitor(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return place.Token{Visitor: v}
}

func (e *edge) join(tok place.Token) place.Token {
	e.t.Helper()
	j, err := e.Join(e.t.Context(), tok, JoinOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	return j.Token
}

func (e *edge) crowd(n int) []place.Token {
	e.t.Helper()
	out := make([]place.Token, n)
	for i := range out {
		out[i] = e.join(visitor(e.t))
	}
	return out
}

// stream is a parked fan's end.
type stream struct {
	net.Conn
	lines *bufio.Reader
	t     *testing.T
}

func (e *edge) park(tok place.Token, seen int) *stream {
	e.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		e.t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { _ = dialled.Close() })
	if err := e.Park(func() (net.Conn, error) { return accepted, nil }, hub.Head(nil), tok, seen); err != nil {
		e.t.Fatal(err)
	}
	return &stream{dialled, bufio.NewReader(dialled), e.t}
}

// event reads to the next event of this name and returns its data.
func (s *stream) event(name string) string {
	s.t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(patience))
	for current := ""; ; {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			s.t.Fatalf("waiting for %s: %v", name, err)
		}
		if n, ok := strings.CutPrefix(line, "event: "); ok {
			current = strings.TrimSpace(n)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok && current == name {
			return strings.TrimSpace(data)
		}
	}
}

// admissions ticks until all fans had their turn, and returns them in that order.
func (e *edge) admissions(fans []place.Token) []int {
	e.t.Helper()
	var order []int
	done := make(map[int]bool)
	e.until("everybody is admitted", func(v *View) bool {
		for i, f := range fans {
			if !done[i] && v.Passed(f.Score) {
				if _, err := e.Claim(e.t.Context(), f); err != nil {
					e.t.Fatalf("claiming for fan %d: %v", i, err)
				}
				done[i], order = true, append(order, i)
			}
		}
		return len(order) == len(fans)
	})
	return order
}

func inOrder(n int) string {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return fmt.Sprint(out)
}

func TestQ1_FansAreAdmittedInTheOrderTheyJoined(t *testing.T) {
	t.Parallel()
	e := paused(t)
	fans := e.crowd(20)
	e.resume()
	if got := fmt.Sprint(e.admissions(fans)); got != inOrder(20) {
		t.Fatal(got)
	}
}

func TestQ4_JoiningAgainFindsTheSamePlace(t *testing.T) {
	t.Parallel()
	e := paused(t)
	blank := visitor(t)
	first := e.join(blank)
	lost := e.join(blank) // the reply was lost, the cookie still has no place
	again := e.join(first)
	if first.Score == 0 || lost.Score != first.Score || again != first {
		t.Fatalf("%+v, %+v, %+v", first, lost, again)
	}
	e.tick(t.Context())
	if n := e.View().Waiting; n != 1 {
		t.Fatalf("%d places", n)
	}
}

func TestAWaitingFanIsToldOfItsTurnAtOnce(t *testing.T) {
	t.Parallel()
	e := paused(t)
	fan := e.join(visitor(t))
	s := e.park(fan, 0)
	s.event("position")
	e.resume()
	e.until("the front passes", func(v *View) bool { return v.Passed(fan.Score) })
	s.event("admitted") // the clock of the hub never moved
	if _, err := e.Claim(t.Context(), fan); err != nil {
		t.Fatal(err)
	}
}

func TestQ2_APositionNeverGoesUp(t *testing.T) {
	t.Parallel()
	e := paused(t)
	fans := e.crowd(10)
	e.readBoard(t.Context())
	last := fans[9]
	s := e.park(last, 4) // another edge has shown 4 already
	if got := s.event("position"); !strings.Contains(got, `"position":4,"ahead":3`) {
		t.Fatal(got)
	}
	if got := e.View().Status(last, 4); got.Position != 4 || got.Ahead != 3 {
		t.Fatalf("%+v", got)
	}
	if got := e.View().Status(last, 0); got.Position != 10 {
		t.Fatalf("without a word of before: %+v", got)
	}
	e.hub.Broadcast()
	if got := s.event("position"); !strings.Contains(got, `"position":4`) {
		t.Fatal(got)
	}
}

func TestQ3_NobodyClaimsBeforeItsTurnNorTwice(t *testing.T) {
	t.Parallel()
	e := paused(t)
	fans := e.crowd(2)
	if _, err := e.Claim(t.Context(), fans[0]); err != queue.ErrNotYet {
		t.Fatalf("before its turn: %v", err)
	}
	if _, err := e.Claim(t.Context(), visitor(t)); err != queue.ErrNotQueued {
		t.Fatalf("without a place: %v", err)
	}
	e.resume()
	e.until("the first one's turn", func(v *View) bool { return v.Passed(fans[0].Score) })
	first, err := e.Claim(t.Context(), fans[0])
	if err != nil {
		t.Fatal(err)
	}
	again, err := e.Claim(t.Context(), fans[0])
	if err != nil || !again.Again || !again.Expires.Equal(first.Expires) {
		t.Fatalf("a repeated claim must find the same session: %+v, %+v, %v", first, again, err)
	}
	forged := fans[1]
	forged.Visitor[0] ^= 1 // a token opens only whole, so this is an edge's own mistake at worst
	e.until("the second one's turn", func(v *View) bool { return v.Passed(fans[1].Score) })
	if _, err := e.Claim(t.Context(), forged); err != queue.ErrTurnMissed {
		t.Fatalf("of a place that nobody has: %v", err)
	}
}

func TestASessionThatWasReleasedIsRevokedAtEveryEdge(t *testing.T) {
	t.Parallel()
	here := openEdge(t, usual())
	there := newEdge(t, here.redis, usual())
	fan := here.join(visitor(t))
	here.until("its turn", func(v *View) bool { return v.Passed(fan.Score) })
	claim, err := here.Claim(t.Context(), fan)
	if err != nil {
		t.Fatal(err)
	}
	id := fan.Visitor.String()
	if here.Revoked(id, claim.Issued) {
		t.Fatal("revoked from the start")
	}
	if err := here.Release(t.Context(), fan.Visitor); err != nil {
		t.Fatal(err)
	}
	if !here.Revoked(id, claim.Issued) {
		t.Error("not at once where it was released")
	}
	there.tick(t.Context())
	if !there.Revoked(id, claim.Issued) {
		t.Error("not within a tick at another edge")
	}
	if there.Revoked(id, there.Now().Add(time.Second)) {
		t.Error("a later session of the same visitor is revoked too")
	}
}

// Else whoever claims at an edge whose clock is ahead, and leaves at once, keeps
// the pass while the slot goes to the next in line.
func TestAPassFromAnEdgeWhoseClockIsAheadIsRevokedToo(t *testing.T) {
	t.Parallel()
	here := openEdge(t, usual())
	there := newEdge(t, here.redis, usual())
	fan := here.join(visitor(t))
	here.until("its turn", func(v *View) bool { return v.Passed(fan.Score) })
	here.clock.Advance(10 * time.Second)
	claim, err := here.Claim(t.Context(), fan)
	if err != nil {
		t.Fatal(err)
	}
	here.tick(t.Context()) // which sets its idea of the time right
	if err := here.Release(t.Context(), fan.Visitor); err != nil {
		t.Fatal(err)
	}
	there.tick(t.Context())
	if id := fan.Visitor.String(); !here.Revoked(id, claim.Issued) || !there.Revoked(id, claim.Issued) {
		t.Errorf("revoked here: %t, there: %t", here.Revoked(id, claim.Issued), there.Revoked(id, claim.Issued))
	}
}

func TestALeaversPlaceIsFree(t *testing.T) {
	t.Parallel()
	e := paused(t)
	fans := e.crowd(3)
	if err := e.Leave(t.Context(), fans[1]); err != nil {
		t.Fatal(err)
	}
	e.readBoard(t.Context())
	if got := e.View().Position(fans[2].Score); got != 2 {
		t.Fatalf("position %d, want 2", got)
	}
}

func TestATurnThatWasNotClaimedIsMissed(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Queue.ClaimWithin = time.Second
	e := openEdge(t, cfg)
	fan := e.join(visitor(t))
	e.until("the turn is over", func(v *View) bool { return v.NoShowsTotal == 1 })
	if _, err := e.Claim(t.Context(), fan); err != queue.ErrTurnMissed {
		t.Fatal(err)
	}
}

func TestAReloadedRateIsInForceForEveryEdgeAtTheNextTicks(t *testing.T) {
	t.Parallel()
	here := openEdge(t, usual())
	there := newEdge(t, here.redis, usual())
	there.tick(t.Context())
	cfg := usual()
	cfg.Queue.Rate = 7
	here.Apply(cfg)
	here.tick(t.Context())
	here.tick(t.Context())
	there.tick(t.Context())
	if got := there.View(); got.Settings.Rate != 7 || !got.Differs {
		t.Fatalf("the other edge: rate %d, differs %v", got.Settings.Rate, got.Differs)
	}
	if got := here.View(); got.Settings.Rate != 7 || got.Differs {
		t.Fatalf("this edge: rate %d, differs %v", got.Settings.Rate, got.Differs)
	}
}

func TestAReloadWhileRedisIsAwayIsPushedWhenItIsBack(t *testing.T) {
	t.Parallel()
	e := openEdge(t, usual())
	e.redis.Kill()
	cfg := usual()
	cfg.Queue.Rate = 7
	e.Apply(cfg)
	e.tick(t.Context())
	e.redis.Start()
	e.until("Redis has the new rate", func(*View) bool {
		got, err := e.queue.Tick(t.Context(), queue.TickInput{})
		return err == nil && got.Settings.Rate == 7
	})
}

func TestAClosingRoomAsksEveryFanBackWithJitter(t *testing.T) {
	t.Parallel()
	e := paused(t)
	fans := e.crowd(3)
	streams := make([]*stream, len(fans))
	for i, f := range fans {
		streams[i] = e.park(f, 0)
		streams[i].event("position")
	}
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range streams {
		for {
			line, err := s.lines.ReadString('\n')
			if err != nil {
				t.Fatalf("no retry before the end: %v", err)
			}
			if strings.HasPrefix(line, "retry: ") {
				break
			}
		}
	}
}

func TestEdgesWithTheirOwnClocksAdmitTogether(t *testing.T) {
	t.Parallel()
	server := devstack.Redis(t)
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(options)
	t.Cleanup(func() { _ = rdb.Close() })
	cfg := usual()
	cfg.Tick = 10 * time.Millisecond
	rooms := make([]*Room, 2)
	for i := range rooms {
		rooms[i] = New(Deps{Queue: queue.Open(rdb, cfg.Name)}, cfg)
		rooms[i].Start()
		t.Cleanup(func() {
			if err := rooms[i].Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 10 {
		e := &edge{Room: rooms[i%2], t: t}
		e.park(e.join(visitor(t)), 0).event("admitted")
	}
}

// Everybody who joins within one board is told their own position, and not that of
// the first.
func TestABurstIsToldItsRealPositions(t *testing.T) {
	t.Parallel()
	cfg := usual()
	cfg.Queue.Rate, cfg.Queue.Per = 1, time.Hour
	e := openEdge(t, cfg)
	e.readBoard(t.Context())
	for i := range 25 {
		v, err := place.NewVisitor(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		joined, err := e.Join(t.Context(), place.Token{Visitor: v}, JoinOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := e.View().Status(joined.Token, joined.Position).Position; got != i+1 {
			t.Errorf("fan %d is told position %d", i+1, got)
		}
		if got := e.View().Status(joined.Token, 0).Position; got != 0 {
			t.Errorf("before a board has it, fan %d is told position %d elsewhere", i+1, got)
		}
	}
}
