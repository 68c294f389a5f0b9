package main

import (
	"slices"
	"strings"
	"testing"
)

// Lines come in pieces; what is counted must not depend on where they are cut.
func TestLinesAreCountedHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	text := []byte("retry: 3000\nevent: message\ndata: event: position\n\n" +
		"event: position\nid: 7\ndata: {}\n\n:\n\nevent: positions\n\nevent: position\ndata: {}\n\nevent: pos")
	for size := 1; size <= len(text); size++ {
		var r reading
		count := 0
		for piece := range slices.Chunk(text, size) {
			count += r.positions(piece)
		}
		if count != 2 {
			t.Fatalf("in pieces of %d: %d lines", size, count)
		}
	}
}

func TestRecordsAreCountedHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	record := func(length int) string {
		return "\x17\x03\x03" + string([]byte{byte(length >> 8), byte(length)}) + strings.Repeat("\x17", length)
	}
	raw := []byte(record(300) + record(1) + record(0) + record(17) + "\x17\x03")
	for size := 1; size <= len(raw); size++ {
		var r reading
		count := 0
		for piece := range slices.Chunk(raw, size) {
			count += r.records(piece)
		}
		if count != 4 {
			t.Fatalf("in pieces of %d: %d records", size, count)
		}
	}
}
