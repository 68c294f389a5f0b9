package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// A room that is split is admitted from in rounds, because no script sees all of
// it. One tick of one edge is:
//
//	survey  every shard says how it stands and which scores are first in it
//	decide  the first shard says how many of the lowest go in, and writes the round down
//	apply   every shard lets in its part, none beyond the score the round ends at
//
// Any edge may do any step, and several at once: a round is decided on a survey that
// saw the last one done everywhere, or not at all; a shard applies each round once;
// and a round that its edge left half done is finished by the next one. So the order
// holds across shards (Q1), and so does the cap (Q6): between survey and decision
// people only leave. A place that comes back below the round's end meanwhile is
// first in the next.

// round is a tick of a room that is split.
func (q *Queue) round(ctx context.Context, in TickInput) (Tick, error) {
	// No shard has more in a round than it reports heads, so the lowest of all heads
	// are the lowest of all places.
	if most := q.mostInRound(); in.Limit == NoLimit || in.Limit > most {
		in.Limit = most
	}
	seen, err := q.survey(ctx, in)
	if err != nil {
		return Tick{}, err
	}
	t := together(seen)
	q.burst.Store(int64(t.Settings.Burst))
	q.inside.Store(int64(t.Turns + t.Active))
	if err := q.checkShards(seen[0]); err != nil {
		return Tick{}, err
	}
	// Places of a shard that lost its data are missing among the heads, and the others
	// have their settings still. Whoever calls has to know of it first.
	if before := q.lives.Swap(&t.Generations); before != nil && !slices.Equal(*before, t.Generations) {
		return t, nil
	}
	done := seen[0].round
	for _, s := range seen {
		done = max(done, s.applied)
	}
	q.rounds.Store(max(q.rounds.Load(), done))
	if seen[0].round < done { // another edge began one between our two looks
		return t, nil
	}
	for _, s := range seen {
		if s.applied < done { // it is under way, or its edge left it half done
			_, err := q.apply(ctx, seen[0].plan, t.Settings)
			return t, err
		}
	}
	return q.decide(ctx, in, t, done, inOrder(seen))
}

func (q *Queue) survey(ctx context.Context, in TickInput) ([]report, error) {
	seen, last := make([]report, q.Shards()), q.lastRound()
	return seen, q.each(func(i int, s *shard) error {
		plan := ""
		if i == 0 {
			plan = last
		}
		keys := []string{s.keys.Room, s.keys.Queue, s.keys.Turn, s.keys.Active, s.keys.Away, s.keys.Revoked}
		got, err := q.eval(ctx, surveyScript, keys, s.known.arg(), in.Limit, in.RevokedSince, plan).Slice()
		if err != nil {
			return unavailable("ticking", err)
		}
		if seen[i], err = s.read(got); err != nil {
			return unavailable("ticking", err)
		}
		return nil
	})
}

// lastRound is the last round that this process knows of, as a plan that admits nobody.
// A first shard that knows fewer has lost its data, and nobody knows any more what that
// round was; without this no round would ever be the next.
func (q *Queue) lastRound() string {
	n := q.rounds.Load()
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10) + strings.Repeat(" 0", 1+q.Shards())
}

// maxRound is the most places of one round, as in the scripts.
const maxRound = 1000

// mostInRound is a burst, which no round can be more than; it is not known at first.
func (q *Queue) mostInRound() int {
	if burst := int(q.burst.Load()); burst > 0 {
		return min(burst, maxRound)
	}
	return maxRound
}

// together is the whole room: sums, and what the first shard says about the rest.
func together(seen []report) Tick {
	t := seen[0].Tick
	for _, s := range seen[1:] {
		t.Generations = append(t.Generations, s.Generations...)
		t.Fronts.Raise(s.Fronts)
		if s.LostAt.After(t.LostAt) {
			t.LostAt = s.LostAt
		}
		t.Waiting, t.Turns, t.Active = t.Waiting+s.Waiting, t.Turns+s.Turns, t.Active+s.Active
		t.AdmittedTotal, t.NoShowsTotal, t.Lobby = t.AdmittedTotal+s.AdmittedTotal, t.NoShowsTotal+s.NoShowsTotal, t.Lobby+s.Lobby
		if s.Frozen != t.Frozen {
			t.Frozen = 0
		}
		t.Revoked = append(t.Revoked, s.Revoked...)
	}
	return t
}

type first struct {
	score place.Score
	shard int
}

// inOrder merges the heads of all shards, up to the first that is not drawn: nobody
// behind it is admitted before the draw, in whichever shard.
func inOrder(seen []report) []first {
	var all []first
	for i, s := range seen {
		for _, score := range s.heads {
			all = append(all, first{score, i})
		}
	}
	slices.SortFunc(all, func(a, b first) int { return cmp.Compare(a.score, b.score) })
	if i := slices.IndexFunc(all, func(f first) bool { return f.score.Undrawn() }); i >= 0 {
		all = all[:i]
	}
	return all[:min(len(all), maxRound)]
}

// decide begins a round and does it.
func (q *Queue) decide(ctx context.Context, in TickInput, t Tick, done int64, heads []first) (Tick, error) {
	s := q.first()
	args := make([]any, 8, 8+2*len(heads))
	copy(args, []any{done, in.Limit, t.Turns + t.Active, t.NoShowsTotal, in.Edge, flag(in.Unwell), q.Shards(), in.hold()})
	for _, h := range heads {
		args = append(args, strconv.FormatUint(uint64(h.score), 10), h.shard)
	}
	got, err := q.eval(ctx, decideScript, []string{s.keys.Room, s.keys.Edges, s.keys.Unwell}, args...).Slice()
	if err != nil {
		return Tick{}, unavailable("ticking", err)
	}
	r := reply{values: got}
	n := int(r.int())
	t.Edges, t.EdgesUnwell = int(r.int()), int(r.int())
	_, plan := r.int(), r.text()
	if r.bad {
		return Tick{}, unavailable("ticking", errReply)
	}
	if n <= 0 {
		return t, nil
	}
	t.Admitted, err = q.apply(ctx, plan, t.Settings)
	if err != nil {
		return Tick{}, err
	}
	t.Waiting, t.Turns, t.AdmittedTotal = t.Waiting-t.Admitted, t.Turns+t.Admitted, t.AdmittedTotal+int64(t.Admitted)
	for _, h := range heads[:n] {
		t.Fronts[h.score.Tier()] = max(t.Fronts[h.score.Tier()], h.score)
	}
	return t, nil
}

// apply lets every shard do its part of a plan, "round score count …".
func (q *Queue) apply(ctx context.Context, plan string, settings Settings) (admitted int, err error) {
	parts := strings.Fields(plan)
	if len(parts) != 2+q.Shards() {
		return 0, unavailable("ticking", fmt.Errorf("%w: the plan of a round", errReply))
	}
	counts := make([]int, q.Shards())
	err = q.each(func(i int, s *shard) error {
		keys := []string{s.keys.Room, s.keys.Queue, s.keys.Turn, s.keys.Away}
		got, err := ints(q.eval(ctx, applyScript, keys, parts[0], parts[2+i], parts[1], settings.ClaimWithin.Milliseconds()), 1+place.Tiers)
		if err != nil {
			return unavailable("ticking", err)
		}
		var fronts place.Fronts
		for tier := range fronts {
			fronts[tier] = place.Score(got[1+tier])
		}
		s.known.raise(fronts)
		counts[i] = int(got[0])
		return nil
	})
	for _, n := range counts {
		admitted += n
	}
	return admitted, err
}
