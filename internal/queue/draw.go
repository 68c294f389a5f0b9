package queue

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// A draw lives beside the queue: who is in its lobby waits in the queue already, all
// of a tier at one score, and is moved to the drawn one in place. So a lobby costs
// nothing but the queue, and a draw that stops half-way goes on with whoever is left.

// Stage is how far a draw has come.
type Stage int

// The stages of a draw.
const (
	NoDraw    Stage = iota
	Committed       // the commitment is published
	Frozen          // so are the cohort and its root: nobody comes in any more
	Drawn           // so is the seed, from which every score follows
)

// DrawRecord is what is published about a draw.
type DrawRecord struct {
	ID     int64 // when the room opens, in Unix seconds
	Stage  Stage
	Record []byte
	Cohort int // length of the published cohort; read by Draw alone
}

// Draw reads the record; its stage is NoDraw if there is none.
func (q *Queue) Draw(ctx context.Context) (DrawRecord, error) {
	keys, pipe := q.first().keys, q.rdb.Pipeline()
	record, cohort := pipe.HMGet(ctx, keys.Draw, "id", "stage", "record"), pipe.StrLen(ctx, keys.Cohort)
	if _, err := pipe.Exec(ctx); err != nil {
		return DrawRecord{}, unavailable("reading the draw", err)
	}
	d, err := drawRecord(record.Val())
	d.Cohort = int(cohort.Val())
	return d, err
}

// Publish writes a record down and says which is there now: what was published
// before stays, and only a later stage of the same draw replaces it, or another
// draw when this one is not under way and nobody has been let in yet. Staged is the cohort that goes with it, as
// StageCohort named it; empty for none.
func (q *Queue) Publish(ctx context.Context, d DrawRecord, staged string) (DrawRecord, error) {
	keys := q.first().keys
	if staged == "" {
		staged = keys.Cohort
	}
	got, err := q.eval(ctx, publishScript, []string{keys.Draw, keys.Cohort, staged, keys.Room}, d.ID, int(d.Stage), d.Record).Slice()
	if err != nil {
		return DrawRecord{}, unavailable("publishing the draw", err)
	}
	return drawRecord(got)
}

func drawRecord(got []any) (DrawRecord, error) {
	if len(got) == 3 && got[0] == nil {
		return DrawRecord{}, nil
	}
	var text [3]string
	for i, value := range got {
		switch value := value.(type) {
		case string:
			text[i%3] = value
		case int64:
			text[i%3] = strconv.FormatInt(value, 10)
		}
	}
	id, idErr := strconv.ParseInt(text[0], 10, 64)
	stage, stageErr := strconv.Atoi(text[1])
	if errors.Join(idErr, stageErr) != nil {
		return DrawRecord{}, unavailable("reading the draw", errReply)
	}
	return DrawRecord{ID: id, Stage: Stage(stage), Record: []byte(text[2])}, nil
}

// leadFor is how long an edge that runs a draw may be silent before another goes on.
const leadFor = 10 * time.Second

// Lead says whether this edge is the one to run the draw now. It saves work; that two
// run it does no harm.
func (q *Queue) Lead(ctx context.Context, edge string) (bool, error) {
	n, err := q.eval(ctx, leadScript, []string{q.first().keys.Leader}, edge, leadFor.Milliseconds()).Int()
	return n == 1, unavailableOrNil("asking who runs the draw", err)
}

// CloseLobby makes everybody who comes from now on too late for the draw, in every
// shard. It may be called again.
func (q *Queue) CloseLobby(ctx context.Context, draw int64) error {
	return q.each(func(_ int, s *shard) error {
		return unavailableOrNil("closing the lobby", q.rdb.HSet(ctx, s.keys.Room, "frozen", draw).Err())
	})
}

// lobbyBatch is how many entrants one call reads: 80 KB, and a millisecond of Redis.
const lobbyBatch = 5000

// Lobby calls f with those of a tier who are in a shard's lobby, in the order of
// visitors, a few thousand at a time.
func (q *Queue) Lobby(ctx context.Context, shard int, tier place.Tier, f func([]place.Visitor)) error {
	score, after := strconv.FormatUint(uint64(tier.Undrawn()), 10), ""
	for {
		got, err := q.eval(ctx, lobbyScript, []string{q.all()[shard].keys.Queue}, score, after, lobbyBatch).StringSlice()
		if err != nil {
			return unavailable("reading the lobby", err)
		}
		f(visitors(got))
		if len(got) < lobbyBatch {
			return nil
		}
		after = got[len(got)-1]
	}
}

// Undrawn lists up to limit visitors of a tier who are still in a shard's lobby.
func (q *Queue) Undrawn(ctx context.Context, shard int, tier place.Tier, limit int) ([]place.Visitor, error) {
	score := strconv.FormatUint(uint64(tier.Undrawn()), 10)
	got, err := q.rdb.ZRangeByScore(ctx, q.all()[shard].keys.Queue, &redis.ZRangeBy{Min: score, Max: score, Count: int64(limit)}).Result()
	if err != nil {
		return nil, unavailable("reading the lobby", err)
	}
	return visitors(got), nil
}

// Rescore moves places from the lobby to their drawn scores. Who has left stays
// away, who is not in the lobby any more keeps the score it has, and who had its turn
// leaves it, so it may be repeated by anybody.
func (q *Queue) Rescore(ctx context.Context, places []Place) error {
	parts := byShard(q, places, func(p *Place) place.Visitor { return p.Visitor })
	return q.each(func(i int, s *shard) error {
		return eachBatch(parts[i], func(some []int) error {
			args := make([]any, 1, 1+2*len(some))
			args[0] = s.known.arg()
			for _, i := range some {
				args = append(args, places[i].Visitor[:], strconv.FormatUint(uint64(places[i].Score), 10))
			}
			got, err := ints(q.eval(ctx, rescoreScript, []string{s.keys.Room, s.keys.Queue}, args...), 2)
			if err != nil {
				return unavailable("entering drawn places", err)
			}
			s.known.saw(uint32(got[0]), got[1])
			return nil
		})
	})
}

const (
	cohortChunk = 1 << 20   // bytes of one call
	stagedLife  = time.Hour // of a cohort whose edge has died before it was published
)

// StageCohort stores a cohort under a name of its own, for Publish to put in place.
func (q *Queue) StageCohort(ctx context.Context, raw []byte) (staged string, err error) {
	var id [8]byte
	rand.Read(id[:]) //nolint:errcheck // crypto/rand.Read never fails: it ends the process instead
	staged = q.first().keys.Cohort + ":" + hex.EncodeToString(id[:])
	for {
		n := min(len(raw), cohortChunk)
		pipe := q.rdb.TxPipeline()
		pipe.Append(ctx, staged, string(raw[:n]))
		pipe.Expire(ctx, staged, stagedLife)
		if _, err := pipe.Exec(ctx); err != nil {
			return "", unavailable("storing the cohort", err)
		}
		if raw = raw[n:]; len(raw) == 0 {
			return staged, nil
		}
	}
}

// Cohort reads the published cohort; empty if there is none.
func (q *Queue) Cohort(ctx context.Context) ([]byte, error) {
	var out []byte
	for {
		part, err := q.rdb.GetRange(ctx, q.first().keys.Cohort, int64(len(out)), int64(len(out)+cohortChunk-1)).Bytes()
		if err != nil {
			return nil, unavailable("reading the cohort", err)
		}
		out = append(out, part...)
		if len(part) < cohortChunk {
			return out, nil
		}
	}
}
