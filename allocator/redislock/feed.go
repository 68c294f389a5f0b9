package redislock

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/internal/mapframe"
)

// readBatch bounds one read of the log.
const readBatch = 2000

// Map reads the whole live map of an event.
func (l *Locks) Map(ctx context.Context, e *allocator.Event) (mapframe.Snapshot, error) {
	reply, err := l.call(ctx, "map", []string{metaKey(e.Slug)}, e.Epoch)
	if err != nil {
		return mapframe.Snapshot{}, err
	}
	at, err := mapframe.ParseVersion(reply[0] + "." + reply[1])
	if err != nil {
		return mapframe.Snapshot{}, unavailable(err)
	}
	cells, err := strconv.Atoi(reply[2])
	if err != nil || cells < 0 || cells > mapframe.MaxCells {
		return mapframe.Snapshot{}, unavailable(fmt.Errorf("map of %q cells", reply[2]))
	}
	bits := make([]byte, mapframe.BitsLen(cells))
	copy(bits, reply[3]) // Redis ends a string at the last byte that was set
	return mapframe.Snapshot{At: at, Cells: cells, Bits: bits}, nil
}

// Changes reads what happened to the map after a version, oldest first. The
// error is mapframe.ErrGap if the log does not reach back that far or the map
// was rebuilt: read the Map. It is allocator.ErrEpoch if the map is gone.
func (l *Locks) Changes(ctx context.Context, e *allocator.Event, after mapframe.Version) ([]mapframe.Delta, error) {
	pipe := l.rdb.Pipeline()
	// The version is read first: a change between the two reads is then seen
	// twice at most, never missed.
	head := pipe.HMGet(ctx, metaKey(e.Slug), "epoch", "ver")
	start := fmt.Sprintf("(%d-%d", after.Epoch, after.Ver)
	entries := pipe.XRangeN(ctx, logKey(e.Slug), start, "+", readBatch)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, unavailable(fmt.Errorf("reading the map's log: %w", err))
	}
	epoch, _ := head.Val()[0].(string)
	ver, _ := head.Val()[1].(string)
	at, err := mapframe.ParseVersion(epoch + "." + ver)
	if err != nil || at.Epoch < after.Epoch {
		return nil, allocator.ErrEpoch
	}
	deltas, err := parseLog(entries.Val(), after)
	if err != nil {
		return nil, err
	}
	reached := after.Ver + uint64(len(deltas))
	if at.Epoch != after.Epoch || reached < at.Ver && len(deltas) < readBatch {
		return nil, fmt.Errorf("%w: log ends at %d of %s", mapframe.ErrGap, reached, at)
	}
	return deltas, nil
}

// parseLog makes one delta of each entry and sees to it that none is missing.
func parseLog(entries []redis.XMessage, after mapframe.Version) ([]mapframe.Delta, error) {
	deltas := make([]mapframe.Delta, 0, len(entries))
	for _, entry := range entries {
		at, err := mapframe.ParseVersion(strings.Replace(entry.ID, "-", ".", 1))
		if err != nil {
			return nil, unavailable(err)
		}
		if at.Epoch != after.Epoch || at.Ver != after.Ver+1 {
			return nil, fmt.Errorf("%w: %s after %s", mapframe.ErrGap, at, after)
		}
		changes, _ := entry.Values["d"].(string)
		d := mapframe.Delta{Epoch: at.Epoch, From: after.Ver, To: at.Ver}
		if d.Changes, err = parseChanges(changes); err != nil {
			return nil, unavailable(err)
		}
		deltas, after = append(deltas, d), at
	}
	return deltas, nil
}

// parseChanges reads "ordinal=state ordinal=state", in any order.
func parseChanges(s string) ([]mapframe.Change, error) {
	states := make(map[int]mapframe.State)
	for field := range strings.FieldsSeq(s) {
		ordinal, state, _ := strings.Cut(field, "=")
		o, err := strconv.Atoi(ordinal)
		if err != nil || o < 0 || o >= mapframe.MaxCells || len(state) != 1 || state[0] < '0' || state[0] > '3' {
			return nil, fmt.Errorf("%w: change %q", mapframe.ErrMalformed, field)
		}
		states[o] = mapframe.State(state[0] - '0')
	}
	return mapframe.Changes(states), nil
}
