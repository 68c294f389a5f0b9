package mapframe

import (
	"fmt"
	"slices"
)

// BitsLen is the number of bytes that hold the states of that many cells.
func BitsLen(cells int) int { return (cells + 3) / 4 }

// Map is a map that is kept current by deltas. Its zero value is an empty map
// of version 0.0. Not safe for concurrent use.
type Map struct {
	at    Version
	cells int
	bits  []byte
}

// NewMap returns a map that holds its own copy of the snapshot.
func NewMap(s Snapshot) (*Map, error) {
	if s.Cells < 0 || s.Cells > MaxCells || len(s.Bits) != BitsLen(s.Cells) {
		return nil, fmt.Errorf("%w: %d bytes for %d cells", ErrMalformed, len(s.Bits), s.Cells)
	}
	return &Map{at: s.At, cells: s.Cells, bits: slices.Clone(s.Bits)}, nil
}

// At is the version the map is at.
func (m *Map) At() Version { return m.at }

// Cells is the number of cells.
func (m *Map) Cells() int { return m.cells }

// State is the state of a cell, Blocked for one that does not exist.
func (m *Map) State(ordinal int) State {
	if ordinal < 0 || ordinal >= m.cells {
		return Blocked
	}
	return State(m.bits[ordinal/4] >> (ordinal % 4 * 2) & 3)
}

// Snapshot copies the map as it is now.
func (m *Map) Snapshot() Snapshot {
	return Snapshot{At: m.at, Cells: m.cells, Bits: slices.Clone(m.bits)}
}

// Apply takes the map on to the delta's version. If the delta starts anywhere
// but at the map's version the error is ErrGap; if it names cells that the map
// has not, ErrMalformed. The map is then as it was.
func (m *Map) Apply(d Delta) error {
	if d.Epoch != m.at.Epoch || d.From != m.at.Ver {
		return fmt.Errorf("%w: map at %s, delta from %s", ErrGap, m.at, Version{d.Epoch, d.From})
	}
	if n := len(d.Changes); n > 0 && (d.Changes[n-1].Ordinal >= m.cells || d.Changes[0].Ordinal < 0) {
		return fmt.Errorf("%w: a change beyond the map's %d cells", ErrMalformed, m.cells)
	}
	for _, c := range d.Changes {
		shift := c.Ordinal % 4 * 2
		b := &m.bits[c.Ordinal/4]
		*b = *b&^(3<<shift) | byte(c.State&3)<<shift
	}
	m.at.Ver = d.To
	return nil
}
