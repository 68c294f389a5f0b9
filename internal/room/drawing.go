package room

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/draw"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/queue"
)

// The draw turns the lobby into places (see package draw for why nobody can steer it):
//
//	committed  as soon as the room is configured, long before the lobby
//	frozen     at its end: nobody comes in any more, everybody who is in is counted
//	drawn      when the beacon has come, or at once without one; then every place in
//	           the queue gets its score
//
// Every step is one that any edge may do, and do again: the record in Redis is written
// once for each, the cohort is published together with its root, and a place that has
// its score is not in the lobby any more. So an edge that dies in the middle costs some
// seconds, after which another goes on. Every edge reads the record and the cohort, and
// can tell each fan's place from then on, also after Redis has lost everything.

// Draws is what the draw needs of the queue. It is part of Queue.
type Draws interface {
	Draw(ctx context.Context) (queue.DrawRecord, error)
	Publish(ctx context.Context, d queue.DrawRecord, staged string) (queue.DrawRecord, error)
	Lead(ctx context.Context, edge string) (bool, error)
	CloseLobby(ctx context.Context, draw int64) error
	Lobby(ctx context.Context, shard int, tier place.Tier, f func([]place.Visitor)) error
	Undrawn(ctx context.Context, shard int, tier place.Tier, limit int) ([]place.Visitor, error)
	Rescore(ctx context.Context, places []queue.Place) error
	StageCohort(ctx context.Context, raw []byte) (staged string, err error)
	Cohort(ctx context.Context) ([]byte, error)
	Shards() int
}

const (
	drawEvery    = 500 * time.Millisecond
	drawPatience = 2 * time.Minute // of one step: five million entrants are read in some seconds
	rescoreBatch = 2000
	// rescoreFor is how long fans are looked through again: one may have connected
	// with the score of the lobby just when the draw ended.
	rescoreFor = 5 * time.Second

	beaconEvery    = 2 * time.Second
	beaconPatience = 5 * time.Second
	maxBeaconBody  = 16 << 10
)

// drawing is what this edge knows of the draw.
type drawing struct {
	mu        sync.Mutex
	id        int64 // of the draw that the rest is about; guarded by mu, as is all below
	stage     queue.Stage
	record    draw.Record
	raw       []byte       // record, as it is published
	cohort    *draw.Cohort // from frozen on
	entered   bool         // nobody was left in the lobby
	enteredAt time.Time
	lookFrom  int64     // the first tick that began after the draw was over
	asked     time.Time // when the beacon was asked for last
	trouble   string    // what was said last about it, once
}

// drawID names a room's draw by its opening, in Unix seconds.
func (c *Config) drawID() int64 { return c.Opens.Unix() }

// done says whether the order is known and in the queue.
func (d *drawing) done(cfg *Config) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id == cfg.drawID() && d.entered
}

// orderSlack is more than the clocks of a fleet's Redis servers are apart.
const orderSlack = 200 * time.Millisecond

// ordered is from when on a picture of the queue shows the drawn order; zero where
// nothing was drawn. One from before has all who were in the lobby at one score, at
// which everybody would be the first, and a position that was shown never goes up.
func (d *drawing) ordered(cfg *Config) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.id != cfg.drawID() || !d.entered {
		return time.Time{}
	}
	return d.enteredAt.Add(orderSlack)
}

// lobbyOf is the draw whose lobby visitors come into now; 0 when they get live places.
func (r *Room) lobbyOf(v *View) int64 {
	if cfg := r.cfg.Load(); v.State == Lobby && cfg.Draws() {
		return cfg.drawID()
	}
	return 0
}

// drawn is a token with the score of the draw in place of that of the lobby, where
// the draw is over; else it is as it was.
func (r *Room) drawn(tok place.Token) place.Token {
	if tok.Score.Undrawn() {
		tok.Score = r.placeOf(tok.Visitor, tok.Score).Score
	}
	return tok
}

// placeOf does the same for a place.
func (r *Room) placeOf(v place.Visitor, s place.Score) queue.Place {
	if !s.Undrawn() {
		return queue.Place{Visitor: v, Score: s}
	}
	d := &r.drawing
	d.mu.Lock()
	record, cohort, current := d.record, d.cohort, d.id == r.cfg.Load().drawID()
	d.mu.Unlock()
	if current && cohort != nil && record.Finished() {
		s = scoreIn(record, cohort, v, s.Tier())
	}
	return queue.Place{Visitor: v, Score: s}
}

// scoreIn is the score of somebody who was in the lobby. One who is not in the cohort
// came in while Redis was away and was entered after it was frozen: that fan is the
// first behind the draw.
func scoreIn(record draw.Record, cohort *draw.Cohort, v place.Visitor, tier place.Tier) place.Score {
	if e, found := cohort.Find(v); found {
		return record.Score(e)
	}
	return tier.Base() + place.LiveScore(record.Opens)
}

// drawSecret is the secret of one draw. It follows from the fleet's keys, so there is
// nothing that an edge could lose.
func (c *Config) drawSecret() ([]byte, error) {
	return hkdf.Key(sha256.New, c.DrawKey, nil, "draw "+strconv.FormatInt(c.drawID(), 10), draw.SecretLength)
}

// runDraw brings the draw one step further, if it is time.
func (r *Room) runDraw(ctx context.Context) {
	cfg := r.cfg.Load()
	if !cfg.Draws() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, drawPatience)
	defer cancel()
	err := r.drawSteps(ctx, cfg)
	d := &r.drawing
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.trouble = ""
	case ctx.Err() == nil && !away(err) && err.Error() != d.trouble: // once, not twice a second
		d.trouble = err.Error()
		r.log.Error("the draw cannot go on; the queue waits for it", "error", err)
	}
}

// drawSteps goes on for as long as there is something to do.
func (r *Room) drawSteps(ctx context.Context, cfg *Config) error {
	for before := queue.NoDraw; ; {
		if err := r.drawStep(ctx, cfg); err != nil {
			return err
		}
		r.drawing.mu.Lock()
		stage := r.drawing.stage
		r.drawing.mu.Unlock()
		if stage <= before || stage == queue.Drawn {
			return nil
		}
		before = stage
	}
}

// drawStep reads how far the draw is, and does what is next.
func (r *Room) drawStep(ctx context.Context, cfg *Config) error {
	r.mu.Lock()
	ready := r.ticked && r.failures == 0 && r.settledLocked()
	now, lobby, ticks, generations := r.nowLocked(), r.last.Lobby, r.ticks, r.generations
	r.mu.Unlock()
	stage, err := r.readDraw(ctx, cfg)
	if err != nil || !ready {
		return err
	}
	switch stage {
	case queue.NoDraw:
		return r.commit(ctx, cfg)
	case queue.Committed:
		if now.Before(cfg.Opens) {
			return nil
		}
		return r.whenLeading(ctx, func() error { return r.freeze(ctx, cfg, now, generations) })
	case queue.Frozen:
		return r.whenLeading(ctx, func() error { return r.finish(ctx, cfg, now) })
	}
	if lobby > 0 {
		return r.whenLeading(ctx, func() error { return r.enterDrawn(ctx) })
	}
	if r.counted(ticks) {
		r.settleDraw(now)
	}
	return nil
}

// counted says whether a tick after the draw has told how many are in the lobby: one from
// before has not seen who came last, and whoever came later would overtake them.
func (r *Room) counted(ticks int64) bool {
	d := &r.drawing
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lookFrom == 0 {
		d.lookFrom = ticks + 2 // the next may be under way
	}
	return ticks >= d.lookFrom
}

// readDraw takes in what is published, or publishes again what Redis has lost.
func (r *Room) readDraw(ctx context.Context, cfg *Config) (queue.Stage, error) {
	d := &r.drawing
	d.mu.Lock()
	if d.id != cfg.drawID() {
		d.id, d.stage, d.record, d.raw, d.cohort = cfg.drawID(), queue.NoDraw, draw.Record{}, nil, nil
		d.entered, d.lookFrom = false, 0
	}
	stage, raw, cohort := d.stage, d.raw, d.cohort
	d.mu.Unlock()
	there, err := r.queue.Draw(ctx)
	if err != nil {
		return stage, err
	}
	switch {
	case there.ID == cfg.drawID() && there.Stage > stage:
		return r.adopt(ctx, there)
	case stage == queue.NoDraw,
		there.ID == cfg.drawID() && there.Stage == stage && (cohort == nil || there.Cohort == cohort.Len()*draw.EntrantLength):
		return stage, nil
	}
	staged := ""
	if cohort != nil {
		file, err := cohort.MarshalBinary()
		if err != nil {
			return stage, err
		}
		if staged, err = r.queue.StageCohort(ctx, file); err != nil {
			return stage, err
		}
	}
	_, err = r.queue.Publish(ctx, queue.DrawRecord{ID: cfg.drawID(), Stage: stage, Record: raw}, staged)
	return stage, err
}

// adopt takes a published record in, with its cohort. Commitment and root that were
// seen are never given up for others.
func (r *Room) adopt(ctx context.Context, there queue.DrawRecord) (queue.Stage, error) {
	record, err := draw.ParseRecord(there.Record)
	if err != nil {
		return queue.NoDraw, fmt.Errorf("reading the record of the draw in Redis: %w", err)
	}
	d := &r.drawing
	d.mu.Lock()
	had, cohort, stage := d.record, d.cohort, d.stage
	d.mu.Unlock()
	if stage != queue.NoDraw && (had.Commitment != record.Commitment || had.Frozen() && *had.Root != *record.Root) {
		return stage, errors.New("the record of the draw in Redis is another than the one that was published; restore it from a copy of GET draw")
	}
	if record.Frozen() && (cohort == nil || cohort.Root() != *record.Root) {
		raw, err := r.queue.Cohort(ctx)
		if err != nil {
			return stage, err
		}
		if cohort, err = draw.ParseCohort(raw); err != nil {
			return stage, fmt.Errorf("reading the cohort of the draw in Redis: %w", err)
		}
		if cohort.Root() != *record.Root {
			return stage, errors.New("the cohort of the draw in Redis does not have the published root")
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.id == there.ID && there.Stage > d.stage {
		d.stage, d.record, d.raw, d.cohort = there.Stage, record, there.Record, cohort
		r.log.Info("the draw has come further", "stage", int(there.Stage), "draw", string(there.Record))
	}
	return d.stage, nil
}

// whenLeading keeps two edges from doing the same work.
func (r *Room) whenLeading(ctx context.Context, do func() error) error {
	mine, err := r.queue.Lead(ctx, r.edge)
	if err != nil || !mine {
		return err
	}
	return do()
}

// publish writes the next record down and takes in whichever is there then.
func (r *Room) publish(ctx context.Context, cfg *Config, stage queue.Stage, record draw.Record, staged string) error {
	raw, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("writing the record of the draw: %w", err)
	}
	there, err := r.queue.Publish(ctx, queue.DrawRecord{ID: cfg.drawID(), Stage: stage, Record: raw}, staged)
	if err != nil {
		return err
	}
	switch {
	case there.ID == cfg.drawID():
	case there.Stage == queue.Frozen:
		return errors.New("the draw of another opening time is under way in this room; it has to end first, or take another room")
	case there.Stage == queue.NoDraw && stage != queue.Committed:
		return nil // Redis lost the record just now: the next turn publishes it again
	default:
		return errors.New("somebody has been let into this room already, and all who are drawn now would count as if they had; give this sale a room of its own name, or set opens back to what it was")
	}
	_, err = r.adopt(ctx, there)
	return err
}

func (r *Room) commit(ctx context.Context, cfg *Config) error {
	secret, err := cfg.drawSecret()
	if err != nil {
		return err
	}
	record, err := draw.Commit(cfg.Name, cfg.lobbyOpens(), cfg.Opens, secret, cfg.Beacon)
	if err != nil {
		return err
	}
	return r.publish(ctx, cfg, queue.Committed, record, "")
}

// freeze ends the lobby and publishes who is in it.
func (r *Room) freeze(ctx context.Context, cfg *Config, now time.Time, generations []uint32) error {
	if err := r.queue.CloseLobby(ctx, cfg.drawID()); err != nil {
		return err
	}
	var entrants []draw.Entrant
	for shard := range r.queue.Shards() {
		for tier := range place.Tier(place.Tiers) {
			err := r.queue.Lobby(ctx, shard, tier, func(some []place.Visitor) {
				for _, v := range some {
					entrants = append(entrants, draw.Entrant{Visitor: v, Tier: tier})
				}
			})
			if err != nil {
				return err
			}
		}
	}
	// What Redis has lost since the last tick is missing in what was read just now. The
	// next tick tells, and then everybody comes back first.
	t, err := r.queue.Tick(ctx, queue.TickInput{RevokedSince: now.UnixMilli()})
	if err != nil || !slices.Equal(t.Generations, generations) {
		return err
	}
	cohort := draw.NewCohort(entrants)
	file, err := cohort.MarshalBinary()
	if err != nil {
		return err
	}
	staged, err := r.queue.StageCohort(ctx, file)
	if err != nil {
		return err
	}
	r.drawing.mu.Lock()
	record := r.drawing.record
	r.drawing.mu.Unlock()
	record = record.Freeze(cohort)
	record.FrozenAt = now.UTC().Truncate(time.Second)
	return r.publish(ctx, cfg, queue.Frozen, record, staged)
}

// finish publishes the seed, if the beacon is there or not to be waited for.
func (r *Room) finish(ctx context.Context, cfg *Config, now time.Time) error {
	r.drawing.mu.Lock()
	record := r.drawing.record
	r.drawing.mu.Unlock()
	if record.Beacon.Source == "" {
		return r.finishWith(ctx, cfg, record, nil, now)
	}
	if deadline := record.Beacon.Deadline(record.Opens); !deadline.IsZero() && !now.Before(deadline) {
		secret, err := cfg.drawSecret()
		if err != nil {
			return err
		}
		if record, err = record.FinishWithout(secret); err != nil {
			return err
		}
		r.log.Warn("the beacon did not come in time; the draw goes on without it, and its record says so", "beacon", record.Beacon.Source)
		record.DrawnAt = now.UTC().Truncate(time.Second)
		return r.publish(ctx, cfg, queue.Drawn, record, "")
	}
	value, err := r.fetchBeacon(ctx, record.Beacon)
	if err != nil || value == nil {
		return err
	}
	return r.finishWith(ctx, cfg, record, value, now)
}

func (r *Room) finishWith(ctx context.Context, cfg *Config, record draw.Record, beacon []byte, now time.Time) error {
	secret, err := cfg.drawSecret()
	if err != nil {
		return err
	}
	if record, err = record.Finish(secret, beacon); err != nil {
		return err
	}
	record.DrawnAt = now.UTC().Truncate(time.Second)
	return r.publish(ctx, cfg, queue.Drawn, record, "")
}

// enterDrawn gives everybody who is still in the lobby the drawn score, in the queue.
func (r *Room) enterDrawn(ctx context.Context) error {
	r.drawing.mu.Lock()
	record, cohort := r.drawing.record, r.drawing.cohort
	r.drawing.mu.Unlock()
	for shard := range r.queue.Shards() {
		for tier := range place.Tier(place.Tiers) {
			for {
				left, err := r.queue.Undrawn(ctx, shard, tier, rescoreBatch)
				if err != nil {
					return err
				}
				if len(left) == 0 {
					break
				}
				places := make([]queue.Place, len(left))
				for i, v := range left {
					places[i] = queue.Place{Visitor: v, Score: scoreIn(record, cohort, v, tier)}
				}
				if err := r.queue.Rescore(ctx, places); err != nil {
					return err
				}
				if _, err := r.queue.Lead(ctx, r.edge); err != nil { // still at it
					return err
				}
			}
		}
	}
	return nil
}

// rescoreFans gives the fans who are connected here their drawn scores.
func (r *Room) rescoreFans() {
	r.hub.Rescore(func(visitor [16]byte, old uint64) uint64 {
		return uint64(r.placeOf(visitor, place.Score(old)).Score)
	})
}

// settleDraw lets the queue move.
func (r *Room) settleDraw(now time.Time) {
	d := &r.drawing
	d.mu.Lock()
	first := !d.entered
	if first {
		d.entered, d.enteredAt = true, now
	}
	late := now.Sub(d.enteredAt) > rescoreFor
	d.mu.Unlock()
	if late {
		return
	}
	r.rescoreFans()
	if first {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.publishLocked()
	}
}
