package mapframe

import (
	"encoding/binary"
	"fmt"
)

// Snapshot is the whole map at one version. Its bits are shared, not copied.
type Snapshot struct {
	At    Version
	Cells int
	Bits  []byte // BitsLen(Cells) bytes
}

// Change is one cell's new state.
type Change struct {
	Ordinal int
	State   State
}

// Delta takes a map from version From to version To of one epoch.
type Delta struct {
	Epoch, From, To uint64
	Changes         []Change // by strictly growing ordinal
}

// Frame is one decoded frame; the field that Kind names is set.
type Frame struct {
	Kind     Kind
	Snapshot Snapshot
	Delta    Delta
	Counts   []byte // JSON, not parsed
}

// AppendSnapshot appends the frame of s to dst.
func AppendSnapshot(dst []byte, s Snapshot) []byte {
	dst = append(dst, byte(KindSnapshot))
	dst = binary.AppendUvarint(dst, s.At.Epoch)
	dst = binary.AppendUvarint(dst, s.At.Ver)
	dst = binary.AppendUvarint(dst, uint64(s.Cells))
	return append(dst, s.Bits...)
}

// AppendDelta appends the frame of d to dst. The changes must be in order.
func AppendDelta(dst []byte, d Delta) []byte {
	dst = append(dst, byte(KindDelta))
	dst = binary.AppendUvarint(dst, d.Epoch)
	dst = binary.AppendUvarint(dst, d.From)
	dst = binary.AppendUvarint(dst, d.To)
	last := -1
	for _, c := range d.Changes {
		dst = binary.AppendUvarint(dst, uint64(c.Ordinal-last)<<2|uint64(c.State&3))
		last = c.Ordinal
	}
	return dst
}

// AppendCounts appends a counts frame around a JSON document to dst.
func AppendCounts(dst, json []byte) []byte {
	return append(append(dst, byte(KindCounts)), json...)
}

// Decode reads one frame. The frame's bits and counts point into b. Any input
// gives a frame or an error that wraps ErrMalformed.
func Decode(b []byte) (Frame, error) {
	if len(b) == 0 || len(b) > MaxFrame {
		return Frame{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	}
	r := reader{b: b[1:]}
	f := Frame{Kind: Kind(b[0])}
	switch f.Kind {
	case KindSnapshot:
		f.Snapshot = r.snapshot()
	case KindDelta:
		f.Delta = r.delta()
	case KindCounts:
		if len(r.b) == 0 || len(r.b) > MaxCounts {
			r.fail("counts of %d bytes", len(r.b))
		}
		f.Counts = r.b
	default:
		r.fail("unknown kind 0x%02x", b[0])
	}
	if r.err != nil {
		return Frame{}, r.err
	}
	return f, nil
}

// reader takes uvarints off a frame and remembers the first fault.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
	}
}

func (r *reader) uvarint() uint64 {
	n, used := binary.Uvarint(r.b)
	if used <= 0 {
		r.fail("cut or overlong number")
		r.b = nil
		return 0
	}
	r.b = r.b[used:]
	return n
}

func (r *reader) snapshot() Snapshot {
	s := Snapshot{At: Version{Epoch: r.uvarint(), Ver: r.uvarint()}}
	cells := r.uvarint()
	// The limit comes before the conversion: a huge number must not wrap.
	if cells > MaxCells {
		r.fail("%d cells", cells)
		return s
	}
	s.Cells, s.Bits = int(cells), r.b
	if len(s.Bits) != BitsLen(s.Cells) {
		r.fail("%d bytes for %d cells", len(s.Bits), s.Cells)
	}
	return s
}

func (r *reader) delta() Delta {
	d := Delta{Epoch: r.uvarint(), From: r.uvarint(), To: r.uvarint()}
	if d.To < d.From {
		r.fail("version %d after %d", d.From, d.To)
	}
	ordinal := -1
	for r.err == nil && len(r.b) > 0 {
		n := r.uvarint()
		gap := n >> 2
		if gap == 0 || gap > MaxCells || ordinal+int(gap) >= MaxCells {
			r.fail("gap of %d after cell %d", gap, ordinal)
			break
		}
		ordinal += int(gap)
		d.Changes = append(d.Changes, Change{Ordinal: ordinal, State: State(n & 3)})
	}
	return d
}
