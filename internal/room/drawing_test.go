package room

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// soon is a room whose lobby is open and ends within a second or two.
func soon() Config {
	cfg := usual()
	cfg.Opens = time.Now().Add(1500 * time.Millisecond).Truncate(time.Second).Add(time.Second)
	cfg.Lobby, cfg.DrawKey = 2*time.Hour, []byte("the key of the fleet")
	return cfg
}

func (e *edge) opened() {
	e.t.Helper()
	e.until("the draw is over", func(v *View) bool { return v.State == Open })
}

// record is the draw as it is published.
func (e *edge) record() draw.Record {
	e.t.Helper()
	r, err := draw.ParseRecord(e.Draw().Record)
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

// ranked are fans in the order of what was drawn for them.
func ranked(e *edge, fans []place.Token) []place.Token {
	out := make([]place.Token, len(fans))
	for i, f := range fans {
		out[i] = e.drawn(f)
	}
	slices.SortFunc(out, func(a, b place.Token) int { return cmp.Compare(a.Score, b.Score) })
	return out
}

func TestQ7_TheDrawTurnsTheLobbyIntoPlacesAndEverybodyCanCheckIt(t *testing.T) {
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			t.Parallel()
			cfg := soon()
			cfg.Queue.Shards = shards
			e := openEdge(t, cfg)
			other := newEdge(t, e.redis, cfg)
			e.runDraw(t.Context())
			before := e.record()
			if before.Frozen() || before.Finished() {
				t.Fatalf("published before the lobby ended: %+v", before)
			}
			fans := e.crowd(40)
			late, err := e.Join(t.Context(), visitor(t), JoinOptions{Tier: place.Deprioritised})
			if err != nil {
				t.Fatal(err)
			}
			again := e.join(fans[3])
			v := e.View()
			if v.State != Lobby || again.Score != fans[3].Score || !fans[3].Score.Undrawn() || v.Position(fans[3].Score) != 0 {
				t.Fatalf("in the lobby (%s) a fan knows something: %+v", v.State, again)
			}
			parked := e.park(fans[0], 0)
			parked.event("position")
			e.until("everybody of the lobby is counted", func(v *View) bool { return v.Waiting == 41 && v.AdmittedTotal == 0 })

			e.opened()
			other.opened()
			after := other.join(visitor(t))
			record := e.record()
			remarks, err := draw.Verify(before, record, e.Draw().Cohort)
			if err != nil || record.Count == nil || *record.Count != 41 {
				t.Fatalf("the draw cannot be recomputed: %v, %v, count %v", err, remarks, record.Count)
			}
			for i, f := range append(fans, late.Token) {
				got, err := other.Refresh(t.Context(), f)
				if err != nil || !got.Changed {
					t.Fatalf("fan %d: %+v, %v", i, got, err)
				}
				proof, err := other.Draw().Proof(f.Visitor)
				if err != nil || proof.Score != got.Token.Score {
					t.Fatalf("fan %d: the token says %d and the proof %d, %v", i, got.Token.Score, proof.Score, err)
				}
				if !e.View().Passed(got.Token.Score) {
					if there, err := e.queue.(*queue.Queue).JoinBatch(t.Context(), []queue.Entry{{Visitor: f.Visitor}}); err != nil || there[0].State == queue.Waiting && there[0].Score != got.Token.Score {
						t.Fatalf("fan %d is in the queue at %+v, not at %d; %v", i, there, got.Token.Score, err)
					}
				}
			}
			order := append(ranked(e, fans), after, e.drawn(late.Token))
			if got := fmt.Sprint(e.admissions(order)); got != inOrder(42) {
				t.Fatalf("admitted in the order %v", got)
			}
			parked.event("admitted")
		})
	}
}

// Q2: in the picture of a lobby everybody is the first. Whoever was told so could never
// be told the truth afterwards.
func TestQ2_TheFirstPositionAfterTheDrawIsTheDrawnOne(t *testing.T) {
	t.Parallel()
	e := openEdge(t, soon())
	if err := e.queue.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	fans := e.crowd(7)
	e.readBoard(t.Context())
	if e.View().Board.Waiting() != 7 {
		t.Fatalf("%+v", e.View())
	}
	e.until("the draw is over", func(v *View) bool { return v.State == Paused })
	if v := e.View(); v.Status(e.drawn(fans[0]), 0).Position != 0 {
		t.Fatal("a position is read from the picture of the lobby")
	}
	e.until("a new picture is there", func(v *View) bool {
		e.readBoard(t.Context())
		return v.Position(e.drawn(fans[0]).Score) != 0
	})
	for i, f := range ranked(e, fans) {
		if got := e.View().Position(f.Score); got != i+1 {
			t.Errorf("the fan drawn as number %d is at position %d", i+1, got)
		}
	}
}

func TestWhoComesWhileTheDrawIsMadeIsBehindIt(t *testing.T) {
	t.Parallel()
	cfg := soon()
	cfg.Beacon = draw.Beacon{Source: "the lottery numbers of that evening"}
	e := openEdge(t, cfg)
	fans := e.crowd(5)
	if err := e.SetBeacon(t.Context(), []byte("early")); !errors.Is(err, ErrBeaconEarly) {
		t.Fatal(err)
	}
	e.until("the lobby is over", func(v *View) bool { return v.State == Drawing && e.record().Frozen() })
	late := e.join(visitor(t))
	e.tick(t.Context())
	v := e.View()
	if late.Score.Undrawn() || v.Position(fans[0].Score) != 0 || v.AdmittedTotal != 0 || v.Status(fans[0], 0).State != "drawing" {
		t.Fatalf("while the beacon is awaited: %+v, %+v", late, v)
	}
	if err := e.SetBeacon(t.Context(), []byte("4 8 15 16 23 42")); err != nil {
		t.Fatal(err)
	}
	if err := e.SetBeacon(t.Context(), []byte("1 2 3")); !errors.Is(err, ErrBeaconLate) {
		t.Fatal(err)
	}
	e.opened()
	if got := fmt.Sprint(e.admissions(append(ranked(e, fans), late))); got != inOrder(6) {
		t.Fatalf("admitted in the order %v", got)
	}
	if r := e.record(); string(r.Beacon.Value) != "4 8 15 16 23 42" || r.Beacon.Missed {
		t.Fatalf("%+v", r.Beacon)
	}
}

// Whoever may still give the beacon after the announced end knows the order without it.
func TestABeaconThatComesAfterTheAnnouncedEndIsNotTaken(t *testing.T) {
	t.Parallel()
	cfg := soon()
	cfg.Beacon = draw.Beacon{Source: "the lottery numbers of that evening", Within: 2}
	e := openEdge(t, cfg)
	e.crowd(3)
	e.until("the lobby is over", func(v *View) bool { return v.State == Drawing && e.record().Frozen() })
	e.clock.Advance(e.record().Beacon.Deadline(cfg.Opens).Sub(e.Now())) // and nobody has gone on yet
	if err := e.SetBeacon(t.Context(), []byte("4 8 15 16 23 42")); !errors.Is(err, ErrBeaconLate) {
		t.Fatalf("taken: %v", err)
	}
	e.opened()
	if b := e.record().Beacon; !b.Missed || len(b.Value) > 0 {
		t.Fatalf("%+v", b)
	}
}

func TestABeaconIsFetchedWhenItIsThere(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte("0123456789abcdef\n"))
	}))
	defer site.Close()
	cfg := soon()
	cfg.Beacon = draw.Beacon{Source: "the site's own", URL: site.URL}
	e := openEdge(t, cfg)
	e.join(visitor(t))
	e.until("the lobby is over", func(v *View) bool { return v.State == Drawing && e.record().Frozen() })
	e.runDraw(t.Context())
	if e.record().Finished() {
		t.Fatal("drawn without the beacon")
	}
	ready.Store(true)
	e.clock.Advance(beaconEvery)
	e.opened()
	if got := e.record().Beacon; string(got.Value) != "0123456789abcdef" {
		t.Fatalf("%+v", got)
	}
}

func TestABeaconThatNeverComesIsNotWaitedForLongerThanWasAnnounced(t *testing.T) {
	t.Parallel()
	cfg := soon()
	cfg.Beacon = draw.Beacon{Source: "never", Within: 1}
	e := openEdge(t, cfg)
	before := e.crowd(3)
	e.opened()
	r := e.record()
	if !r.Beacon.Missed || len(r.Beacon.Value) != 0 {
		t.Fatalf("%+v", r.Beacon)
	}
	if remarks, err := draw.Verify(draw.Record{}, r, e.Draw().Cohort); err != nil || !strings.Contains(strings.Join(remarks, " "), "beacon") {
		t.Fatalf("%v, %v", remarks, err)
	}
	if got := ranked(e, before); got[0].Score.Undrawn() {
		t.Fatal("nobody was drawn")
	}
}

// failing is a queue that fails from its n-th step of a draw on, as an edge that
// dies then: what it has done stays done.
type failing struct {
	Queue
	left atomic.Int64
}

func (f *failing) step() error {
	if f.left.Add(-1) < 0 {
		return fmt.Errorf("this edge is dead: %w", queue.ErrUnavailable)
	}
	return nil
}

func (f *failing) CloseLobby(ctx context.Context, d int64) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.Queue.CloseLobby(ctx, d)
}

func (f *failing) Lobby(ctx context.Context, shard int, tier place.Tier, each func([]place.Visitor)) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.Queue.Lobby(ctx, shard, tier, each)
}

func (f *failing) StageCohort(ctx context.Context, raw []byte) (string, error) {
	if err := f.step(); err != nil {
		return "", err
	}
	return f.Queue.StageCohort(ctx, raw)
}

func (f *failing) Publish(ctx context.Context, d queue.DrawRecord, staged string) (queue.DrawRecord, error) {
	if err := f.step(); err != nil {
		return queue.DrawRecord{}, err
	}
	return f.Queue.Publish(ctx, d, staged)
}

func (f *failing) Rescore(ctx context.Context, places []queue.Place) error {
	err := f.step()
	if err != nil {
		places = places[:len(places)/2] // dies in the middle of one
	}
	return errors.Join(err, f.Queue.Rescore(ctx, places))
}

func TestAnotherEdgeGoesOnWithADrawWhereverOneDied(t *testing.T) {
	for steps := range 16 {
		t.Run(fmt.Sprintf("after %d steps", steps), func(t *testing.T) {
			t.Parallel()
			cfg := soon()
			e := openEdge(t, cfg)
			e.until("the commitment is published", func(*View) bool { return e.Draw().Record != nil })
			before := e.record()
			fans := e.crowd(9)
			dying := &failing{Queue: e.queue}
			dying.left.Store(int64(steps))
			e.queue = dying
			e.until("the edge has died in the draw, or made it", func(v *View) bool { return dying.left.Load() < 0 || v.State == Open })

			heir := newEdge(t, e.redis, cfg)
			if err := e.redis.Client().Del(t.Context(), "tickets:{arena}:leader").Err(); err != nil { // ten seconds later
				t.Fatal(err)
			}
			heir.opened()
			if remarks, err := draw.Verify(before, heir.record(), heir.Draw().Cohort); err != nil {
				t.Fatal(remarks, err)
			}
			if got := fmt.Sprint(heir.admissions(ranked(heir, fans))); got != inOrder(9) {
				t.Fatalf("admitted in the order %v", got)
			}
		})
	}
}

func TestQ5_ALobbyOutlivesTheLossOfRedisAndSoDoesItsDraw(t *testing.T) {
	t.Parallel()
	cfg := soon()
	cfg.Opens = time.Now().Add(time.Hour)
	cfg.Queue.Active = 1
	e := openEdge(t, cfg)
	e.runDraw(t.Context())
	before := e.record()
	fans := e.crowd(20)
	for _, f := range fans[:10] {
		e.park(f, 0).event("position")
	}
	e.lose()
	during := e.join(visitor(t))
	e.recover()
	e.runDraw(t.Context())
	if got := e.record(); got.Commitment != before.Commitment {
		t.Fatal("another commitment after the loss")
	}
	for _, f := range fans[10:] { // those who poll
		if got, err := e.Refresh(t.Context(), f); err != nil || !got.Changed {
			t.Fatal(got, err)
		}
	}
	e.until("everybody is in the lobby again", func(v *View) bool { return v.Waiting == 21 && e.last.Lobby == 21 })

	// The opening comes; one fan has the turn, and Redis loses everything again.
	soon := cfg
	soon.Opens = time.Now().Add(time.Second).Truncate(time.Second)
	e.Apply(soon)
	e.opened()
	all := append(fans, during)
	order := ranked(e, all)
	e.until("the first had their turn", func(v *View) bool { return v.Passed(order[0].Score) })
	published := e.record()
	e.lose()
	e.recover()
	for i, f := range all {
		got, err := e.Refresh(t.Context(), f) // with the cookie of the lobby
		if err != nil || got.Token.Score != e.drawn(f).Score || got.Token.Score.Undrawn() {
			t.Fatalf("fan %d came back with %+v, %v", i, got, err)
		}
	}
	e.until("everybody but the first waits again", func(v *View) bool { return v.Waiting+v.Turns == 20 })
	e.runDraw(t.Context())
	heir := newEdge(t, e.redis, soon)
	heir.opened()
	if got := heir.record(); *got.Root != *published.Root || string(got.Seed) != string(published.Seed) {
		t.Fatal("the draw was another one after the loss")
	}
}

func TestAnEdgeGivesNoPublishedDrawUpForAnother(t *testing.T) {
	t.Parallel()
	cfg := soon()
	e := openEdge(t, cfg)
	e.crowd(3)
	e.opened()
	published := e.record()
	forged := published
	forged.Commitment[0]++
	raw, err := json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	other := newEdge(t, e.redis, cfg)
	other.until("it knows the draw", func(*View) bool { return other.Draw().Record != nil && other.Draw().Over() })
	if err := e.redis.Client().HSet(t.Context(), "tickets:{arena}:draw", "stage", 9, "record", raw).Err(); err != nil {
		t.Fatal(err)
	}
	other.runDraw(t.Context())
	if got := other.record(); got.Commitment != published.Commitment {
		t.Fatal("a forged record was taken")
	}
}

func TestARoomWithoutALobbyDrawsNothing(t *testing.T) {
	t.Parallel()
	e := openEdge(t, usual())
	e.runDraw(t.Context())
	if e.Draw().Record != nil {
		t.Fatal("a record")
	}
	if _, err := e.Draw().Proof(place.Visitor{1}); !errors.Is(err, ErrNotDrawn) {
		t.Fatal(err)
	}
	if err := e.SetBeacon(t.Context(), []byte("x")); !errors.Is(err, ErrNoBeacon) {
		t.Fatal(err)
	}
}

func TestAnOperatorWhoTakesTheDrawAwayIsTold(t *testing.T) {
	t.Parallel()
	cfg := soon()
	cfg.Opens = time.Now().Add(time.Hour)
	e := openEdge(t, cfg)
	e.crowd(3)
	e.until("they are in the lobby", func(v *View) bool { return v.Waiting == 3 })
	if n := e.Stranded(); n != 0 {
		t.Fatalf("%d are stranded before the draw", n)
	}
	fifo := cfg
	fifo.Method = Fifo
	e.Apply(fifo)
	e.tick(t.Context())
	if n := e.Stranded(); n != 3 {
		t.Fatalf("%d are stranded", n)
	}
	e.Apply(cfg)
	e.tick(t.Context())
	if n := e.Stranded(); n != 0 {
		t.Fatalf("%d are stranded with the draw back", n)
	}
}
