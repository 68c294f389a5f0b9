package queue

import (
	"strconv"
	"sync"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/rediskey"
)

// MaxShards is the most parts of a room: each costs every edge three calls a tick.
const MaxShards = 16

// shard is a part of a room that lives on one Redis node. A room that is not split
// has one.
type shard struct {
	keys  rediskey.Room
	known known
}

// known is what this process has seen of a shard. It goes with every call, so that
// data which are older than that are found out: see life in prelude.lua.
type known struct {
	mu         sync.Mutex
	generation uint32 // guarded by mu, as what follows
	step       int64
	fronts     place.Fronts
}

// arg is what the scripts are told: "generation step front …".
func (k *known) arg() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := strconv.AppendUint(make([]byte, 0, 160), uint64(k.generation), 10)
	out = strconv.AppendInt(append(out, ' '), k.step, 10)
	for _, front := range k.fronts {
		out = strconv.AppendUint(append(out, ' '), uint64(front), 10)
	}
	return string(out)
}

// saw takes in what a reply says. Replies may come in another order than they were made in.
func (k *known) saw(generation uint32, step int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case generation > k.generation:
		k.generation, k.step = generation, step
	case generation == k.generation:
		k.step = max(k.step, step)
	}
}

func (k *known) raise(fronts place.Fronts) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fronts.Raise(fronts)
}

// Split divides the room into n parts, 1 to MaxShards, before its first use. It is
// the same on every edge for as long as the room has places: a visitor's part
// follows from its id alone.
func (q *Queue) Split(n int) {
	shards := make([]*shard, min(max(n, 1), MaxShards))
	for i := range shards {
		shards[i] = &shard{keys: rediskey.ForShard(q.room, i)}
	}
	q.shards.Store(&shards)
}

// all are the parts; the first one holds what there is once for the whole room.
func (q *Queue) all() []*shard { return *q.shards.Load() }

func (q *Queue) first() *shard { return q.all()[0] }

// Shards is how many parts the room has.
func (q *Queue) Shards() int { return len(q.all()) }

// ShardOf is the part of a visitor among n. Visitors are random, so its bits are too.
func ShardOf(v place.Visitor, n int) int { return int(v[len(v)-1]) % n }

func (q *Queue) of(v place.Visitor) *shard {
	all := q.all()
	return all[ShardOf(v, len(all))]
}

// byShard sorts things into the parts of their visitors, each with its index in list.
func byShard[T any](q *Queue, list []T, visitor func(*T) place.Visitor) [][]int {
	parts := make([][]int, q.Shards())
	for i := range list {
		n := ShardOf(visitor(&list[i]), len(parts))
		parts[n] = append(parts[n], i)
	}
	return parts
}
