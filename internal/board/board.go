// Package board is an immutable picture of a queue's order, from which every
// fan's position is read without asking Redis. A position per fan from ZRANK
// would be a million calls a second for five million fans who look every five
// seconds; a board is one small string a second for each edge.
//
// It holds the scores at ranks 0 to 1000 and then at steps of rank/1000: exact
// for the first thousand and within 0.1 % beyond. It knows no Redis.
package board

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Exact is the number of first places whose position is exact.
const Exact = 1000

// maxEntries bounds what is decoded: a queue of a billion has 15,000 entries.
const maxEntries = 20_000

// Board is safe for concurrent use; nothing in it ever changes.
type Board struct {
	made    time.Time
	waiting int
	ranks   []uint32 // growing, from 0
	scores  []place.Score
}

// Next is the rank that follows rank on a board.
func Next(rank int) int { return rank + max(1, rank/Exact) }

// Waiting is the number of places in the queue.
func (b *Board) Waiting() int { return b.waiting }

// Made is when the picture was taken, by Redis' clock.
func (b *Board) Made() time.Time { return b.made }

// Position is the number of places ahead of the score, plus one. Between two
// entries it is the later one's, so nobody is promised more than is true. A
// score that is not in the queue gets the position it would have. A place that
// is younger than the picture, and the last of its tier, gets 0: thousands may have
// joined before it since, and all of them would be told the same.
func (b *Board) Position(s place.Score) int {
	i, _ := slices.BinarySearch(b.scores, s)
	last := i == len(b.scores) || b.scores[i].Tier() != s.Tier() // of its tier
	switch {
	case last && b.younger(s):
		return 0
	case i < len(b.scores):
		return int(b.ranks[i]) + 1
	}
	return b.waiting + 1
}

// younger says whether a place was given after the picture was taken.
func (b *Board) younger(s place.Score) bool {
	return place.LiveTime(s).After(b.made)
}

// Merge is the board of a room that is split, from those of its parts. It is as
// good as theirs: the place at a rank below Exact is below it in its own part too,
// and ranks that are each within 0.1 % are so together. It is as old as the oldest.
func Merge(parts ...*Board) *Board {
	if len(parts) == 1 {
		return parts[0]
	}
	m := new(Board)
	next, left := make([]int, len(parts)), 0
	for i, p := range parts {
		m.waiting += p.waiting
		left += len(p.scores)
		if i == 0 || p.made.Before(m.made) {
			m.made = p.made
		}
	}
	m.ranks, m.scores = make([]uint32, 0, left), make([]place.Score, 0, left)
	for ; left > 0; left-- {
		low := -1
		for i, p := range parts {
			if next[i] < len(p.scores) && (low < 0 || p.scores[next[i]] < parts[low].scores[next[low]]) {
				low = i
			}
		}
		// Ahead of this score is in each part what is ahead of the first entry there
		// that is not lower.
		var ahead uint32
		for i, p := range parts {
			if next[i] < len(p.ranks) {
				ahead += p.ranks[next[i]]
			} else {
				ahead += uint32(p.waiting)
			}
		}
		m.ranks, m.scores = append(m.ranks, ahead), append(m.scores, parts[low].scores[next[low]])
		next[low]++
	}
	return m
}

// The encoding, big-endian, made by board.lua:
//
//	version 1 | made, unix ms 8 | waiting 8 | first score 8 | then for each further entry
//	the score less the one before it in 6 bytes, or six times 0xff and the whole score in 8
//
// The escape is for the step from drawn to live places, which can be over 2^48.
const (
	version   = 1
	headBytes = 1 + 8 + 8
	stepBytes = 6
	escape    = 1<<48 - 1
)

// ErrMalformed is returned for bytes that are no board.
var ErrMalformed = errors.New("not a board")

// Decode reads an encoded board.
func Decode(raw []byte) (*Board, error) {
	if len(raw) < headBytes || raw[0] != version {
		return nil, ErrMalformed
	}
	ms, waiting := int64(binary.BigEndian.Uint64(raw[1:])), binary.BigEndian.Uint64(raw[9:])
	if waiting > 1<<31 {
		return nil, ErrMalformed
	}
	b := &Board{made: time.UnixMilli(ms).UTC(), waiting: int(waiting)}
	rest := raw[headBytes:]
	if waiting == 0 {
		return b, check(len(rest) == 0)
	}
	if len(rest) < 8 || len(rest) > 8+maxEntries*(stepBytes+8) {
		return nil, ErrMalformed
	}
	n := 1 + (len(rest)-8)/stepBytes // an estimate: escapes are rare
	b.ranks, b.scores = make([]uint32, 1, n), make([]place.Score, 1, n)
	b.scores[0], rest = place.Score(binary.BigEndian.Uint64(rest)), rest[8:]
	for rank := 0; len(rest) > 0; {
		last := b.scores[len(b.scores)-1]
		score, left, ok := step(last, rest)
		if !ok || score < last || rank == b.waiting-1 {
			return nil, ErrMalformed
		}
		rank, rest = min(Next(rank), b.waiting-1), left
		b.ranks, b.scores = append(b.ranks, uint32(rank)), append(b.scores, score)
	}
	return b, check(int(b.ranks[len(b.ranks)-1]) == b.waiting-1)
}

func check(ok bool) error {
	if ok {
		return nil
	}
	return ErrMalformed
}

// step reads the next score after last.
func step(last place.Score, raw []byte) (place.Score, []byte, bool) {
	if len(raw) < stepBytes {
		return 0, nil, false
	}
	var wide [8]byte
	copy(wide[2:], raw[:stepBytes])
	delta, raw := binary.BigEndian.Uint64(wide[:]), raw[stepBytes:]
	if delta != escape {
		return last + place.Score(delta), raw, true
	}
	if len(raw) < 8 {
		return 0, nil, false
	}
	return place.Score(binary.BigEndian.Uint64(raw)), raw[8:], true
}

// publicStep makes the public board: within one part in publicStep.
const publicStep = 100

// MarshalJSON is the public form, within 1 %: {"made","waiting","ranks":[[rank,score],…]}.
func (b *Board) MarshalJSON() ([]byte, error) {
	doc := struct {
		Made    time.Time  `json:"made"`
		Waiting int        `json:"waiting"`
		Ranks   [][2]int64 `json:"ranks"`
	}{Made: b.made, Waiting: b.waiting, Ranks: [][2]int64{}}
	last := -1 // rank of the entry that was published last
	for i, rank := range b.ranks {
		// An entry may be left out while the one after it is still near enough.
		if i+1 < len(b.ranks) && last >= 0 && int(b.ranks[i+1]) <= last+max(1, last/publicStep) {
			continue
		}
		doc.Ranks = append(doc.Ranks, [2]int64{int64(rank), int64(b.scores[i])})
		last = int(rank)
	}
	return json.Marshal(doc)
}
