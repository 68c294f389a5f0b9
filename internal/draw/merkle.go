package draw

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Hash is a node of the tree.
type Hash [sha256.Size]byte

// blockLen is how many leaves share one remembered hash. A power of two, so
// that every block but the last is a complete subtree of the whole. A proof
// hashes at most one block again, about 0.2 ms, and 5 million entrants cost
// 16 B × 5M + 32 B × 5M/1024 = 80 MB instead of 400.
const blockLen = 1024

// Cohort is who takes part in a draw, frozen: sorted, without duplicates, with
// the Merkle tree over it (RFC 9162, section 2.1: leaves are hashed with a 0x00
// before them and nodes with a 0x01, so that neither passes for the other).
// Immutable and safe for concurrent use.
type Cohort struct {
	visitors []place.Visitor
	blocks   []Hash
	root     Hash
}

// NewCohort freezes a set of visitors. It takes the slice over.
func NewCohort(visitors []place.Visitor) *Cohort {
	slices.SortFunc(visitors, compare)
	c := &Cohort{visitors: slices.Compact(visitors)}
	for block := range slices.Chunk(c.visitors, blockLen) {
		c.blocks = append(c.blocks, rootOf(leaves(block)))
	}
	c.root = rootOf(c.blocks)
	return c
}

// Len is the number of entrants.
func (c *Cohort) Len() int { return len(c.visitors) }

// Root is the hash over all of them; that of nothing for an empty cohort.
func (c *Cohort) Root() Hash { return c.root }

// Visitors lists the entrants in order. The caller must not change it.
func (c *Cohort) Visitors() []place.Visitor { return c.visitors }

// Proof shows that a visitor is one of a cohort.
type Proof struct {
	Index int    `json:"index"` // of the visitor among all entrants, from 0
	Count int    `json:"count"` // of the entrants
	Path  []Hash `json:"path"`  // hashes of the neighbours, from the leaf up
}

// ErrNotInCohort says that the visitor did not take part.
var ErrNotInCohort = errors.New("the visitor is not in the cohort")

// Prove makes the inclusion proof of a visitor.
func (c *Cohort) Prove(v place.Visitor) (Proof, error) {
	at, found := slices.BinarySearchFunc(c.visitors, v, compare)
	if !found {
		return Proof{}, ErrNotInCohort
	}
	block := at / blockLen
	first := block * blockLen
	own := c.visitors[first:min(first+blockLen, len(c.visitors))]
	path := pathIn(leaves(own), at-first)
	return Proof{Index: at, Count: len(c.visitors), Path: append(path, pathIn(c.blocks, block)...)}, nil
}

// Check says whether the proof leads from a visitor to the root.
func (p Proof) Check(v place.Visitor, root Hash) error {
	switch {
	case p.Count < 1 || p.Index < 0 || p.Index >= p.Count:
		return fmt.Errorf("entrant %d of %d cannot be", p.Index, p.Count)
	case len(p.Path) > bits.UintSize:
		return errors.New("the path is longer than any tree is high")
	}
	// RFC 9162, section 2.1.3.2.
	hash, index, last := leaf(v), p.Index, p.Count-1
	for _, neighbour := range p.Path {
		if last == 0 {
			return errors.New("the path is longer than the tree is high")
		}
		if index%2 == 1 || index == last {
			hash = node(neighbour, hash)
			for index%2 == 0 && index > 0 {
				index, last = index/2, last/2
			}
		} else {
			hash = node(hash, neighbour)
		}
		index, last = index/2, last/2
	}
	if last != 0 {
		return errors.New("the path is shorter than the tree is high")
	}
	if hash != root {
		return errors.New("the path does not lead to the published root")
	}
	return nil
}

func compare(a, b place.Visitor) int { return slices.Compare(a[:], b[:]) }

func leaf(v place.Visitor) Hash {
	var text [1 + len(v)]byte
	copy(text[1:], v[:])
	return sha256.Sum256(text[:])
}

func node(left, right Hash) Hash {
	var text [1 + 2*sha256.Size]byte
	text[0] = 1
	copy(text[1:], left[:])
	copy(text[1+sha256.Size:], right[:])
	return sha256.Sum256(text[:])
}

func leaves(visitors []place.Visitor) []Hash {
	hashes := make([]Hash, len(visitors))
	for i, v := range visitors {
		hashes[i] = leaf(v)
	}
	return hashes
}

// split is where a tree of n > 1 divides: the largest power of two below n.
func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

func rootOf(hashes []Hash) Hash {
	switch len(hashes) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return hashes[0]
	}
	at := split(len(hashes))
	return node(rootOf(hashes[:at]), rootOf(hashes[at:]))
}

// pathIn is the path of one leaf in the tree over hashes, from the leaf up.
func pathIn(hashes []Hash, at int) []Hash {
	if len(hashes) < 2 {
		return nil
	}
	middle := split(len(hashes))
	if at < middle {
		return append(pathIn(hashes[:middle], at), rootOf(hashes[middle:]))
	}
	return append(pathIn(hashes[middle:], at-middle), rootOf(hashes[:middle]))
}
