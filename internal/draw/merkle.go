package draw

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// Hash is a node of the tree over a cohort, which is that of RFC 9162, section
// 2.1: leaves are hashed with a 0x00 before them and nodes with a 0x01, so that
// neither passes for the other.
type Hash [sha256.Size]byte

// blockLen is how many leaves share one remembered hash. A power of two, so
// that every block but the last is a complete subtree of the whole. A proof
// hashes one block again, about 0.2 ms, and the tree over 5 million entrants
// costs 32 B × 5M/1024 = 160 kB instead of 320 MB.
const blockLen = 1024

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
	path := pathIn(leaves(own), at-first)
	return Proof{Index: at, Count: len(c.entrants), Path: append(path, pathIn(c.blocks, block)...)}, nil
}

// Check says whether the proof leads from an entrant to the root.
func (p Proof) Check(e Entrant, root Hash) error {
	switch {
	case p.Count < 1 || p.Index < 0 || p.Index >= p.Count:
		return fmt.Errorf("entrant %d of %d cannot be", p.Index, p.Count)
	case len(p.Path) > bits.UintSize:
		return errors.New("the path is longer than any tree is high")
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
		return []Hash{} // a list in JSON, too
	}
	middle := split(len(hashes))
	if at < middle {
		return append(pathIn(hashes[:middle], at), rootOf(hashes[middle:]))
	}
	return append(pathIn(hashes[middle:], at-middle), rootOf(hashes[:middle]))
}
