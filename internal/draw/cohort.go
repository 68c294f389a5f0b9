package draw

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// EntrantLength is that of an entrant in the public file: visitor 16, tier 1.
const EntrantLength = 16 + 1

// MaxEntrants bounds a cohort that is read: 285 MB.
const MaxEntrants = 1 << 24

// Entrant is one who takes part. The tier is part of what is frozen, so that
// who comes first and who is put last is fixed before the seed is known.
type Entrant struct {
	Visitor place.Visitor
	Tier    place.Tier
}

// Cohort is who takes part in a draw, frozen: sorted by visitor, each once, with
// the Merkle tree over it. Immutable and safe for concurrent use. It costs 19
// bytes an entrant: 93 MB for 5 million.
type Cohort struct {
	entrants []Entrant
	nodes    [][]Hash // from the roots of the blocks up
	root     Hash
}

// NewCohort freezes a set of entrants. It takes the slice over. Of a visitor who
// is in it twice the earlier tier counts, so that a doubt is decided for the
// fan; a tier that there is not counts as the last.
func NewCohort(entrants []Entrant) *Cohort {
	for i := range entrants {
		entrants[i].Tier = min(entrants[i].Tier, place.Deprioritised)
	}
	slices.SortFunc(entrants, func(a, b Entrant) int {
		return cmp.Or(compare(a.Visitor, b.Visitor), cmp.Compare(a.Tier, b.Tier))
	})
	return hashed(slices.CompactFunc(entrants, func(a, b Entrant) bool { return a.Visitor == b.Visitor }))
}

// hashed is the cohort of what is in order already.
func hashed(entrants []Entrant) *Cohort {
	blocks := make([]Hash, 0, (len(entrants)+blockLen-1)/blockLen)
	for block := range slices.Chunk(entrants, blockLen) {
		blocks = append(blocks, fold(leaves(block)))
	}
	nodes := nodesOver(blocks)
	return &Cohort{entrants: entrants, nodes: nodes, root: rootIn(nodes)}
}

// Len is the number of entrants.
func (c *Cohort) Len() int { return len(c.entrants) }

// Root is the hash over all of them; that of nothing for an empty cohort.
func (c *Cohort) Root() Hash { return c.root }

// Entrants lists them in order. The caller must not change it.
func (c *Cohort) Entrants() []Entrant { return c.entrants }

// Find looks a visitor up.
func (c *Cohort) Find(v place.Visitor) (Entrant, bool) {
	at, found := c.find(v)
	if !found {
		return Entrant{}, false
	}
	return c.entrants[at], true
}

func (c *Cohort) find(v place.Visitor) (at int, found bool) {
	return slices.BinarySearchFunc(c.entrants, v, func(e Entrant, v place.Visitor) int { return compare(e.Visitor, v) })
}

func compare(a, b place.Visitor) int { return slices.Compare(a[:], b[:]) }

// AppendBinary implements encoding.BinaryAppender: the public file.
func (c *Cohort) AppendBinary(to []byte) ([]byte, error) {
	to = slices.Grow(to, EntrantLength*len(c.entrants))
	for _, e := range c.entrants {
		to = e.append(to)
	}
	return to, nil
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (c *Cohort) MarshalBinary() ([]byte, error) { return c.AppendBinary(nil) }

func (e Entrant) append(to []byte) []byte {
	return append(append(to, e.Visitor[:]...), byte(e.Tier))
}

// ErrCohort is wrapped by what ParseCohort finds wrong.
var ErrCohort = errors.New("the cohort file was changed")

// ParseCohort reads the public file. It takes what AppendBinary writes and
// nothing else: of one cohort there is one file.
func ParseCohort(file []byte) (*Cohort, error) {
	if len(file)%EntrantLength != 0 {
		return nil, fmt.Errorf("%w: it has %d bytes, which is no multiple of the %d of an entrant", ErrCohort, len(file), EntrantLength)
	}
	if len(file)/EntrantLength > MaxEntrants {
		return nil, fmt.Errorf("a cohort has at most %d entrants, not %d", MaxEntrants, len(file)/EntrantLength)
	}
	entrants := make([]Entrant, len(file)/EntrantLength)
	for i := range entrants {
		text := file[i*EntrantLength:][:EntrantLength]
		e := Entrant{place.Visitor(text[:16]), place.Tier(text[16])}
		if e.Tier >= place.Tiers {
			return nil, fmt.Errorf("%w: its entrant %d, visitor %s, has tier %d, and there are %d", ErrCohort, i+1, e.Visitor, e.Tier, place.Tiers)
		}
		if i > 0 && compare(entrants[i-1].Visitor, e.Visitor) >= 0 {
			return nil, fmt.Errorf("%w: its entrant %d, visitor %s, does not come after the one before, visitor %s",
				ErrCohort, i+1, e.Visitor, entrants[i-1].Visitor)
		}
		entrants[i] = e
	}
	return hashed(entrants), nil
}
