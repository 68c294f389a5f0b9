package draw

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

func TestTheFileOfACohortIsWhatMarshalBinaryWrites(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1500} {
		_, _, cohort := drawn(t, n)
		want, err := cohort.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(cohort.File(), want); err != nil {
			t.Fatalf("%d entrants: %v", n, err)
		}
		if got, err := io.ReadAll(iotest.OneByteReader(cohort.File())); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d entrants, byte by byte: %v", n, err)
		}
	}
}
