package mapframe

import "slices"

// History remembers the latest deltas of one map, so that a viewer who was
// away for a moment catches up with a few bytes instead of a snapshot. Its
// memory is bounded by changes, not by deltas. Not safe for concurrent use.
type History struct {
	limit  int // of changes and deltas together, so that empty deltas cannot pile up
	kept   int
	deltas []Delta // each starts where the one before it ends
}

// NewHistory keeps about limit changes: 8 bytes each on a 64-bit machine
// twice over, so 20,000 are 320 KB.
func NewHistory(limit int) *History { return &History{limit: limit} }

// Add appends a delta. One that does not follow the last one starts over.
func (h *History) Add(d Delta) {
	if n := len(h.deltas); n > 0 && (h.deltas[n-1].Epoch != d.Epoch || h.deltas[n-1].To != d.From) {
		h.deltas, h.kept = nil, 0
	}
	h.deltas = append(h.deltas, d)
	h.kept += 1 + len(d.Changes)
	drop := 0
	for h.kept > h.limit && drop < len(h.deltas)-1 {
		h.kept -= 1 + len(h.deltas[drop].Changes)
		drop++
	}
	h.deltas = slices.Delete(h.deltas, 0, drop)
}

// Since merges everything after a version into one delta. It reports false if
// the history does not reach back that far, or the version is of another epoch
// or of the future: the viewer then needs a snapshot.
func (h *History) Since(v Version) (Delta, bool) {
	n := len(h.deltas)
	if n == 0 || h.deltas[0].Epoch != v.Epoch {
		return Delta{}, false
	}
	last := h.deltas[n-1].To
	if v.Ver == last {
		return Delta{Epoch: v.Epoch, From: v.Ver, To: last}, true
	}
	from := slices.IndexFunc(h.deltas, func(d Delta) bool { return d.From == v.Ver })
	if from < 0 {
		return Delta{}, false
	}
	return Merge(h.deltas[from:]), true
}

// Merge makes one delta of several that follow each other; of two changes to a
// cell the later one stands. There must be at least one.
func Merge(deltas []Delta) Delta {
	first, last := deltas[0], deltas[len(deltas)-1]
	if len(deltas) == 1 {
		return first
	}
	states := make(map[int]State)
	for _, d := range deltas {
		for _, c := range d.Changes {
			states[c.Ordinal] = c.State
		}
	}
	return Delta{Epoch: first.Epoch, From: first.From, To: last.To, Changes: Changes(states)}
}

// Changes puts the last known state of each cell in the order a delta needs.
func Changes(states map[int]State) []Change {
	changes := make([]Change, 0, len(states))
	for ordinal, state := range states {
		changes = append(changes, Change{Ordinal: ordinal, State: state})
	}
	slices.SortFunc(changes, func(a, b Change) int { return a.Ordinal - b.Ordinal })
	return changes
}
