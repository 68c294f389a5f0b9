package mapframe

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
)

// The bytes below are the contract with clients in other languages: a change
// here breaks them.
func TestFramesHaveExactlyTheDocumentedBytes(t *testing.T) {
	for name, tt := range map[string]struct{ got, want []byte }{
		"snapshot": {
			AppendSnapshot(nil, Snapshot{At: Version{3, 300}, Cells: 5, Bits: []byte{0b11_10_01_00, 0b01}}),
			unhex(t, "01 03 ac02 05 e4 01"),
		},
		"delta": {
			AppendDelta(nil, Delta{Epoch: 3, From: 300, To: 302, Changes: []Change{{0, Held}, {40, Booked}}}),
			unhex(t, "02 03 ac02 ae02 05 a201"), // 1<<2|1, 40<<2|2
		},
		"counts": {AppendCounts(nil, []byte(`{}`)), unhex(t, "03 7b7d")},
	} {
		if !bytes.Equal(tt.got, tt.want) {
			t.Errorf("%s: got % x, want % x", name, tt.got, tt.want)
		}
	}
}

func TestMalformedFramesAreRefused(t *testing.T) {
	for name, frame := range map[string]string{
		"nothing":                     "",
		"unknown kind":                "04",
		"snapshot cut in its head":    "01 03",
		"snapshot one byte short":     "01 03 00 05 e4",
		"snapshot one byte long":      "01 03 00 05 e4 01 00",
		"snapshot of too many cells":  "01 03 00 ffffffffffffffffff01",
		"overlong number":             "02 ffffffffffffffffffff7f 00 00",
		"delta going back":            "02 03 05 04",
		"delta naming a cell twice":   "02 03 04 05 05 01",
		"delta beyond the last cell":  "02 03 04 05 ffffffff0f",
		"delta cut inside a change":   "02 03 04 05 ff",
		"counts without any document": "03",
	} {
		if _, err := Decode(unhex(t, frame)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", name, err)
		}
	}
}

func TestVersionsReadBack(t *testing.T) {
	v := Version{Epoch: 7, Ver: 1<<64 - 1}
	if got, err := ParseVersion(v.String()); err != nil || got != v {
		t.Errorf("got %v, %v", got, err)
	}
	for _, s := range []string{"", "1", "1.", ".1", "-1.2", "1.2.3", "1.18446744073709551616", "+1.2"} {
		if v, err := ParseVersion(s); err == nil {
			t.Errorf("%q was read as %v", s, v)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(AppendSnapshot(nil, Snapshot{At: Version{3, 300}, Cells: 5, Bits: []byte{0xe4, 1}}))
	f.Add(AppendDelta(nil, Delta{Epoch: 3, From: 1, To: 2, Changes: []Change{{0, Held}, {199_999, Blocked}}}))
	f.Add(AppendCounts(nil, []byte(`{"free":1}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		again, err := Decode(encode(frame))
		if err != nil || !reflect.DeepEqual(again, frame) {
			t.Fatalf("% x: read %+v, then %+v, %v", b, frame, again, err)
		}
		if frame.Kind == KindSnapshot {
			if _, err := NewMap(frame.Snapshot); err != nil {
				t.Fatalf("decoded a snapshot that is no map: %v", err)
			}
		}
	})
}

func encode(f Frame) []byte {
	switch f.Kind {
	case KindSnapshot:
		return AppendSnapshot(nil, f.Snapshot)
	case KindDelta:
		return AppendDelta(nil, f.Delta)
	default:
		return AppendCounts(nil, f.Counts)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
