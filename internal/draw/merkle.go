package draw

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Hash is a node of the tree over a cohort, which is that of RFC 9162, section
// 2.1: leaves are hashed with a 0x00 before them and nodes with a 0x01, so that
// neither passes for the other.
type Hash [sha256.Size]byte

// blockLen is how many leaves share one remembered hash. A power of two, so that
// every block but the last is a complete subtree of the whole. Each of 5 million
// entrants may ask for a proof: it hashes one block again, 10 µs, and the nodes
// above the blocks are kept, 3 × 32 B × 5M/64 = 8 MB instead of 320.
const blockLen = 64

// Proof shows that a visitor is one of a cohort.
type Proof struct {
	Index int    `json:"index"` // of the visitor among all entrants, from 0
	Count int    `json:"count"` // of the entrants
	Path  []Hash `json:"path"`  // hashes of the neighbours, from the leaf up
}

// ErrNotInCohort says that the visitor did not take part.
var ErrNotInCohort = errors.New("the visitor is not in the cohort")

// Prove makes the inclusion proof of a visitor and their tier.
func (c *Cohort) Prove(v place.Visitor) (Proof, error) {
	at, found := c.find(v)
	if !found {
		return Proof{}, ErrNotInCohort
	}
	block := at / blockLen
	first := block * blockLen
	own := c.entrants[first:min(first+blockLen, len(c.entrants))]
	path := pathIn(nodesOver(leaves(own)), at-first)
	return Proof{Index: at, Count: len(c.entrants), Path: append(path, pathIn(c.nodes, block)...)}, nil
}

// Check says whether the proof leads from an entrant to the root.
func (p Proof) Check(e Entrant, root Hash) error {
	if p.Index < 0 || p.Index >= p.Count {
		return fmt.Errorf("there is no entrant %d among %d", p.Index, p.Count)
	}
	// RFC 9162, section 2.1.3.2.
	hash, index, last := leaf(e), p.Index, p.Count-1
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

func leaf(e Entrant) Hash {
	var text [1 + EntrantLength]byte
	return sha256.Sum256(e.append(text[:1]))
}

func node(left, right Hash) Hash {
	var text [1 + 2*sha256.Size]byte
	text[0] = 1
	copy(text[1:], left[:])
	copy(text[1+sha256.Size:], right[:])
	return sha256.Sum256(text[:])
}

func leaves(entrants []Entrant) []Hash {
	hashes := make([]Hash, len(entrants))
	for i, e := range entrants {
		hashes[i] = leaf(e)
	}
	return hashes
}

// up replaces the hashes of a level by those of the level above, in place. What
// has no neighbour goes up as it is, which makes the tree of the standard:
// complete on the left of each node, the rest on the right.
func up(level []Hash) []Hash {
	for i := range level[:len(level)/2] {
		level[i] = node(level[2*i], level[2*i+1])
	}
	if len(level)%2 == 1 {
		level[len(level)/2] = level[len(level)-1]
	}
	return level[:(len(level)+1)/2]
}

// fold is the root over some hashes, of which nothing else is left.
func fold(level []Hash) Hash {
	for len(level) > 1 {
		level = up(level)
	}
	return level[0]
}

// nodesOver are the levels of the tree over some hashes, from these up to its root.
func nodesOver(level []Hash) [][]Hash {
	levels := [][]Hash{level}
	for len(level) > 1 {
		level = up(slices.Clone(level))
		levels = append(levels, level)
	}
	return levels
}

// rootIn is the root; the hash of nothing if there is nothing.
func rootIn(levels [][]Hash) Hash {
	if top := levels[len(levels)-1]; len(top) == 1 {
		return top[0]
	}
	return sha256.Sum256(nil)
}

// pathIn is the path of one of the lowest hashes, from it up.
func pathIn(levels [][]Hash, at int) []Hash {
	path := []Hash{} // a list in JSON even if it is empty
	for _, level := range levels {
		if neighbour := at ^ 1; neighbour < len(level) {
			path = append(path, level[neighbour])
		}
		at /= 2
	}
	return path
}
