package mapframe

import (
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestADeltaIsAppliedOnlyToTheVersionItStartsFrom(t *testing.T) {
	m, err := NewMap(Snapshot{At: Version{2, 10}, Cells: 6, Bits: make([]byte, 2)})
	if err != nil {
		t.Fatal(err)
	}
	change := []Change{{Ordinal: 5, State: Booked}}
	for name, d := range map[string]Delta{
		"earlier":      {Epoch: 2, From: 9, To: 10, Changes: change},
		"later":        {Epoch: 2, From: 11, To: 12, Changes: change},
		"another time": {Epoch: 3, From: 10, To: 11, Changes: change},
	} {
		if err := m.Apply(d); !errors.Is(err, ErrGap) {
			t.Errorf("%s: got %v, want ErrGap", name, err)
		}
	}
	if m.State(5) != Free {
		t.Error("a refused delta changed the map")
	}
	if err := m.Apply(Delta{Epoch: 2, From: 10, To: 13, Changes: change}); err != nil || m.State(5) != Booked || m.At().Ver != 13 {
		t.Errorf("got %v, cell %d, version %v", err, m.State(5), m.At())
	}
	if err := m.Apply(Delta{Epoch: 2, From: 13, To: 14, Changes: []Change{{6, Held}}}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a cell beyond the map: got %v", err)
	}
}

// Whatever happened in between, a viewer who resumes from any version that the
// history still knows ends at the same map as one who saw every delta.
func TestResumingEndsAtTheSameMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.IntRange(1, 70).Draw(t, "cells")
		start := Snapshot{At: Version{1, 0}, Cells: cells, Bits: make([]byte, BitsLen(cells))}
		steady, _ := NewMap(start)
		history := NewHistory(rapid.IntRange(1, 200).Draw(t, "limit"))
		seen := []Snapshot{start}
		for range rapid.IntRange(1, 30).Draw(t, "deltas") {
			states := rapid.MapOfN(rapid.IntRange(0, cells-1), rapid.Map(rapid.IntRange(0, 3), func(i int) State { return State(i) }), 0, 8).Draw(t, "changes")
			d := Delta{Epoch: 1, From: steady.At().Ver, To: steady.At().Ver + 1, Changes: Changes(states)}
			if err := steady.Apply(d); err != nil {
				t.Fatal(err)
			}
			history.Add(d)
			seen = append(seen, steady.Snapshot())
		}
		resumed := 0
		for _, old := range seen {
			d, ok := history.Since(old.At)
			if !ok {
				continue
			}
			resumed++
			m, _ := NewMap(old)
			if err := m.Apply(d); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(m.Snapshot(), steady.Snapshot()) {
				t.Fatalf("from %v: got %v, want %v", old.At, m.Snapshot(), steady.Snapshot())
			}
		}
		if resumed == 0 {
			t.Fatal("the history forgot even its last delta")
		}
	})
}

func TestHistoryKnowsNothingOfOtherEpochsOrTheFuture(t *testing.T) {
	h := NewHistory(100)
	h.Add(Delta{Epoch: 1, From: 4, To: 5})
	h.Add(Delta{Epoch: 2, From: 0, To: 3})
	for _, v := range []Version{{1, 4}, {1, 5}, {2, 4}, {3, 3}} {
		if _, ok := h.Since(v); ok {
			t.Errorf("resumed from %v", v)
		}
	}
	if _, ok := h.Since(Version{2, 0}); !ok {
		t.Error("could not resume from 2.0")
	}
}

func BenchmarkSnapshot50000(b *testing.B) {
	s := Snapshot{At: Version{1, 1 << 20}, Cells: 50_000, Bits: make([]byte, BitsLen(50_000))}
	buf := make([]byte, 0, 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendSnapshot(buf[:0], s)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDelta100(b *testing.B) {
	d := Delta{Epoch: 1, From: 1 << 20, To: 1<<20 + 100}
	for i := range 100 {
		d.Changes = append(d.Changes, Change{Ordinal: i * 500, State: Held})
	}
	buf := make([]byte, 0, 1<<10)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendDelta(buf[:0], d)
	}
	b.SetBytes(int64(len(buf)))
}
