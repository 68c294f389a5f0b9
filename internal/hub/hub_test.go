package hub

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// sketch is a Renderer that a test changes.
type sketch struct {
	front    atomic.Uint64
	position atomic.Uint32
	padding  atomic.Int64
	final    atomic.Bool
}

func (s *sketch) Picture() Picture { return s }

func (s *sketch) Append(buf []byte, fan Fan) ([]byte, uint32, bool) {
	if fan.Score <= s.front.Load() {
		return append(buf, "data: admitted\n\n"...), 0, true
	}
	now := s.position.Load() // returned as it is: what is remembered must be the lowest all the same
	shown := now
	if fan.Shown != 0 {
		shown = min(shown, fan.Shown)
	}
	buf = fmt.Appendf(buf, "data: %d%s\n\n", shown, strings.Repeat("x", int(s.padding.Load())))
	return buf, now, s.final.Load()
}

// venue is a hub under test.
type venue struct {
	*Hub
	sketch *sketch
	clock  *clock.Fake
	gone   chan [16]byte
}

func newVenue(t testing.TB, cfg Config) *venue {
	t.Helper()
	v := &venue{sketch: &sketch{}, clock: clock.NewFake(time.Unix(1e9, 0)), gone: make(chan [16]byte, 10_000)}
	v.sketch.position.Store(5)
	cfg.Clock = v.clock
	cfg.OnGone = func(visitors [][16]byte) {
		for _, g := range visitors {
			v.gone <- g
		}
	}
	v.Hub = New(cfg, v.sketch)
	v.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := v.Close(ctx, 0); err != nil {
			t.Error(err)
		}
	})
	return v
}

// client is the fan's end of a parked connection.
type client struct {
	net.Conn
	lines *bufio.Reader
	t     testing.TB
}

// data reads to the next data line.
func (c *client) data() string {
	c.t.Helper()
	line, err := c.until("data: ")
	if err != nil {
		c.t.Fatalf("waiting for a line: %v", err)
	}
	return line
}

func (c *client) until(prefix string) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for {
		line, err := c.lines.ReadString('\n')
		if err != nil {
			return "", err
		}
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			return strings.TrimSuffix(rest, "\n"), nil
		}
	}
}

// pipe is a TCP connection over loopback.
func pipe(t testing.TB) (server net.Conn, fan *client) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialled.Close(); _ = accepted.Close() })
	return accepted, &client{Conn: dialled, lines: bufio.NewReader(dialled), t: t}
}

func hijacked(conn net.Conn) func() (net.Conn, error) {
	return func() (net.Conn, error) { return conn, nil }
}

func id(n int) (v [16]byte) {
	v[0], v[1], v[2] = byte(n), byte(n>>8), 1
	return v
}

// enter parks a fan and reads its first line.
func (v *venue) enter(t testing.TB, f Fan) *client {
	t.Helper()
	server, fan := pipe(t)
	if err := v.Park(hijacked(server), Head(nil), f); err != nil {
		t.Fatal(err)
	}
	fan.data()
	return fan
}

func (v *venue) left(t *testing.T) [16]byte {
	t.Helper()
	select {
	case g := <-v.gone:
		return g
	case <-time.After(patience):
		t.Fatal("nobody was reported gone")
		return [16]byte{}
	}
}

func upTo(front uint64) func(uint64) bool { return func(score uint64) bool { return score <= front } }

func TestTheFirstLineComesAtOnceAfterTheHead(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	server, fan := pipe(t)
	if err := v.Park(hijacked(server), Head(nil), Fan{Visitor: id(1), Score: 9}); err != nil {
		t.Fatal(err)
	}
	status, err := fan.lines.ReadString('\n')
	if err != nil || status != "HTTP/1.1 200 OK\r\n" {
		t.Fatalf("%q, %v", status, err)
	}
	if got := fan.data(); got != "5" {
		t.Fatal(got)
	}
}

func TestEveryFanGetsALineOncePerPaceAndNotAllAtOnce(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{Pace: 5 * time.Second})
	const fans = 50
	clients := make([]*client, fans)
	for i := range clients {
		clients[i] = v.enter(t, Fan{Visitor: id(i), Score: 9})
	}
	first := v.Stats().Lines
	v.clock.Advance(1500 * time.Millisecond) // 30 of 100 steps
	v.idle(t)
	if n := v.Stats().Lines - first; n == 0 || n >= fans {
		t.Fatalf("%d of %d lines in a third of the pace", n, fans)
	}
	v.clock.Advance(3500 * time.Millisecond)
	for _, c := range clients {
		c.data()
	}
	v.idle(t)
	if n := v.Stats().Lines - first; n != fans {
		t.Fatalf("%d lines in one pace for %d fans", n, fans)
	}
}

// idle waits until the loop has done what it was woken for: the loop tells who
// left at the end of every turn, so a leaver put in by hand comes back then.
func (v *venue) idle(t *testing.T) {
	t.Helper()
	marker := [16]byte{15: 255}
	v.noteGone(marker)
	signal(v.urgent)
	for {
		if g := v.left(t); g == marker {
			break
		}
	}
	v.noteGone(marker) // the turn before may have taken the first one
	signal(v.urgent)
	for {
		if g := v.left(t); g == marker {
			return
		}
	}
}

func TestAFanIsToldAtOnceWhenTheFrontPasses(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	first, second := v.enter(t, Fan{Visitor: id(1), Score: 10}), v.enter(t, Fan{Visitor: id(2), Score: 20})
	v.sketch.front.Store(10)
	v.Passed(upTo(10)) // the clock does not move
	if got := first.data(); got != "admitted" {
		t.Fatal(got)
	}
	if _, err := first.until("never"); err == nil {
		t.Fatal("the connection stays after the last line")
	}
	v.idle(t)
	if s := v.Stats(); s.Parked != 1 || s.Finished != 1 || s.Left != 0 {
		t.Fatalf("%+v", s)
	}
	v.sketch.front.Store(20)
	v.Passed(upTo(20))
	if got := second.data(); got != "admitted" {
		t.Fatal(got)
	}
}

func TestAFanWhoIsDrawnIsDueByTheDrawnScore(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	drawn, other := v.enter(t, Fan{Visitor: id(1), Score: 900}), v.enter(t, Fan{Visitor: id(2), Score: 800})
	v.Rescore(func(visitor [16]byte, old uint64) uint64 {
		if visitor == id(1) {
			return 5
		}
		return old
	})
	v.sketch.front.Store(5)
	v.Passed(upTo(5))
	for drawn.data() != "admitted" { // the line about the draw comes first
	}
	v.idle(t)
	if s := v.Stats(); s.Finished != 1 || s.Parked != 1 {
		t.Fatalf("%+v", s)
	}
	v.sketch.front.Store(800)
	v.Passed(upTo(800))
	for other.data() != "admitted" {
	}
}

func TestEverybodyIsToldAtOnceWhenTheRoomChanges(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = v.enter(t, Fan{Visitor: id(i), Score: uint64(100 + i)})
	}
	v.sketch.final.Store(true) // sold out
	v.Broadcast()
	for _, c := range clients {
		c.data()
		if _, err := c.until("never"); err == nil {
			t.Fatal("the connection stays after the last line")
		}
	}
}

func TestQ2_APositionThatWasShownNeverGoesUp(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	fan := v.enter(t, Fan{Visitor: id(1), Score: 9, Shown: 4})
	for _, step := range []struct {
		now  uint32
		want string
	}{{7, "4"}, {3, "3"}, {6, "3"}, {2, "2"}, {5, "2"}} {
		v.sketch.position.Store(step.now)
		v.Broadcast()
		if got := fan.data(); got != step.want {
			t.Fatalf("at %d shown %s, want %s", step.now, got, step.want)
		}
	}
}

func TestAStuckClientDelaysNobodyAndIsDropped(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	stuck := v.enter(t, Fan{Visitor: id(1), Score: 9})
	if err := stuck.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fan := v.enter(t, Fan{Visitor: id(2), Score: 10})
	v.sketch.padding.Store(4000)
	for v.Stats().Stuck == 0 { // each round a whole line for the one who reads
		v.Broadcast()
		if got := fan.data(); len(got) != 4001 {
			t.Fatalf("a line of %d bytes", len(got))
		}
	}
	if got := v.left(t); got != id(1) {
		t.Fatalf("%v was reported, want the stuck one", got)
	}
	if s := v.Stats(); s.Parked != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestALeaverIsNoticedWithTheNextLine(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	fan := v.enter(t, Fan{Visitor: id(7), Score: 9})
	if err := fan.Close(); err != nil {
		t.Fatal(err)
	}
	v.clock.Advance(DefaultPace)
	if got := v.left(t); got != id(7) {
		t.Fatal(got)
	}
	if s := v.Stats(); s.Parked != 0 || s.Left != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestClosingOneOfTwoTabsIsNotLeaving(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	one, two := v.enter(t, Fan{Visitor: id(1), Score: 9}), v.enter(t, Fan{Visitor: id(1), Score: 9})
	other := v.enter(t, Fan{Visitor: id(2), Score: 9})
	_, _ = one.Close(), other.Close()
	v.Broadcast()
	two.data()
	if got := v.left(t); got != id(2) {
		t.Fatalf("%v was reported gone", got)
	}
	if !v.Has(id(1)) {
		t.Fatal("the second tab is forgotten")
	}
	_ = two.Close()
	v.Broadcast()
	if got := v.left(t); got != id(1) {
		t.Fatal(got)
	}
}

func TestAFanWhoTalksOnAStreamIsDropped(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	fan := v.enter(t, Fan{Visitor: id(1), Score: 9})
	if _, err := fan.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	v.Broadcast()
	if got := v.left(t); got != id(1) {
		t.Fatal(got)
	}
}

func TestPastALimitTheCallerKeepsItsResponse(t *testing.T) {
	t.Parallel()
	never := func() (net.Conn, error) {
		t.Error("hijacked although there is no room")
		return nil, net.ErrClosed
	}
	v := newVenue(t, Config{MaxParked: 2, MaxStreams: 1, MaxPerVisitor: 1})
	v.enter(t, Fan{Visitor: id(1), Score: 9})
	if err := v.Park(never, nil, Fan{Visitor: id(1), Score: 9}); err != ErrTooMany {
		t.Errorf("second of one visitor: %v", err)
	}
	v.enter(t, Fan{Visitor: id(2), Score: 9})
	if err := v.Park(never, nil, Fan{Visitor: id(3), Score: 9}); err != ErrFull {
		t.Errorf("one too many: %v", err)
	}
	if s := v.Stats(); s.Parked != 2 {
		t.Errorf("%+v", s)
	}
	if v.Has(id(3)) {
		t.Error("a refused fan is counted")
	}
}

func TestAFailedHijackLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	failing := func() (net.Conn, error) { return nil, net.ErrClosed }
	if err := v.Park(failing, nil, Fan{Visitor: id(1)}); err != net.ErrClosed {
		t.Fatal(err)
	}
	if s := v.Stats(); s.Parked != 0 || v.Has(id(1)) {
		t.Fatalf("%+v", s)
	}
}

func TestParkedTLSConnectionsWorkLikePlainOnes(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	server, raw := pipe(t)
	secure := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	over := tls.Client(raw.Conn, &tls.Config{InsecureSkipVerify: true}) // the certificate is not what is tested
	done := make(chan error, 1)
	go func() { done <- secure.Handshake() }()
	if err := over.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := v.Park(hijacked(secure), Head(nil), Fan{Visitor: id(1), Score: 9}); err != nil {
		t.Fatal(err)
	}
	if s := v.Stats(); s.Parked != 1 || s.Streams != 0 {
		t.Fatalf("it took a goroutine: %+v", s)
	}
	fan := &client{Conn: over, lines: bufio.NewReader(over), t: t}
	fan.data()
	v.clock.Advance(DefaultPace)
	fan.data()
	_ = over.Close()
	v.Broadcast()
	if got := v.left(t); got != id(1) {
		t.Fatal(got)
	}
}

// opaque hides the socket, as a wrapper of somebody else's may.
type opaque struct{ net.Conn }

func TestAConnectionWhoseSocketIsHiddenKeepsAGoroutine(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	server, fan := pipe(t)
	if err := v.Park(hijacked(&opaque{server}), Head(nil), Fan{Visitor: id(1), Score: 9}); err != nil {
		t.Fatal(err)
	}
	fan.data()
	v.clock.Advance(DefaultPace)
	fan.data()
	if s := v.Stats(); s.Parked != 0 || s.Streams != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestADrainTellsEveryFanWhenToComeBackAndReportsNobodyGone(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = v.enter(t, Fan{Visitor: id(i), Score: 9})
	}
	if err := v.Close(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, c := range clients {
		wait, err := c.until("retry: ")
		if err != nil {
			t.Fatal(err)
		}
		seen[wait] = true
		if _, err := c.until("never"); err == nil {
			t.Fatal("the connection stays")
		}
	}
	if len(seen) < 10 {
		t.Fatalf("20 fans come back at %d different times", len(seen))
	}
	if len(v.gone) != 0 {
		t.Fatal("a drained fan was reported gone: its place would be swept")
	}
	if err := v.Park(nil, nil, Fan{}); err != ErrDraining {
		t.Fatal(err)
	}
}

func TestNothingIsLostWhenFansComeAndGoInCrowds(t *testing.T) {
	t.Parallel()
	v := newVenue(t, Config{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				server, fan := pipe(t)
				if err := v.Park(hijacked(server), nil, Fan{Visitor: id(i*100 + j), Score: uint64(j + 1)}); err != nil {
					t.Error(err)
					return
				}
				if j%2 == 0 {
					_ = fan.Close()
				}
				v.Passed(upTo(uint64(j / 4)))
				v.Broadcast()
				v.clock.Advance(50 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	if err := v.Close(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if s := v.Stats(); s.Parked != 0 {
		t.Fatalf("%+v", s)
	}
	for i := range v.present.shards {
		if n := len(v.present.shards[i].count); n != 0 {
			t.Fatalf("%d visitors are still counted", n)
		}
	}
}

func TestAHeadCannotBeSplitByAHeaderValue(t *testing.T) {
	t.Parallel()
	head := string(Head(map[string][]string{"Set-Cookie": {"a=b\r\nEvil: yes"}, "Content-Length": {"5"}}))
	if strings.Contains(head, "\r\nEvil") || strings.Contains(head, "Content-Length") {
		t.Fatal(head)
	}
	if !strings.HasSuffix(head, "\r\n\r\n") || !strings.Contains(head, "Connection: close\r\n") {
		t.Fatal(head)
	}
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
