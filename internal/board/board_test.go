package board

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"sort"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// encode does what board.lua does.
func encode(scores []place.Score) []byte {
	raw := []byte{version}
	raw = binary.BigEndian.AppendUint64(raw, 1_800_000_000_000)
	raw = binary.BigEndian.AppendUint64(raw, uint64(len(scores)))
	for rank, last := 0, -1; rank < len(scores) && rank != last; {
		score := uint64(scores[rank])
		switch {
		case last < 0:
			raw = binary.BigEndian.AppendUint64(raw, score)
		default:
			delta := score - uint64(scores[last])
			if delta >= escape {
				raw = binary.BigEndian.AppendUint64(append(raw, 255, 255, 255, 255, 255, 255), score)
				break
			}
			raw = append(raw, binary.BigEndian.AppendUint64(nil, delta)[2:]...)
		}
		rank, last = min(Next(rank), len(scores)-1), rank
	}
	return raw
}

func scores(n int) []place.Score {
	out := make([]place.Score, n)
	for i := range out {
		out[i] = place.LiveBase + place.Score(i*7)
	}
	return out
}

func TestAPositionIsExactForTheFirstThousandAndCloseBeyond(t *testing.T) {
	for _, n := range []int{1, 2, 999, 1000, 1001, 1002, 2001, 123_457} {
		all := scores(n)
		b, err := Decode(encode(all))
		if err != nil {
			t.Fatalf("%d places: %v", n, err)
		}
		for i, s := range all {
			got, want := b.Position(s), i+1
			if i <= Exact && got != want || got < want || float64(got-want) > 0.001*float64(want) {
				t.Fatalf("of %d: place %d has position %d", n, i, got)
			}
		}
		if got := b.Position(all[n-1] + 1); got != n+1 {
			t.Fatalf("behind the last: %d", got)
		}
	}
}

func TestPartsMergeIntoABoardThatIsAsGoodAsTheirs(t *testing.T) {
	for _, n := range []int{1, 3, 999, 1500, 4001, 300_000} {
		all := scores(n)
		parts := make([][]place.Score, 4)
		for _, s := range all {
			at := int(uint64(s)*0x9e3779b97f4a7c15>>40) % 7 % len(parts) // uneven
			parts[at] = append(parts[at], s)
		}
		boards := make([]*Board, len(parts))
		for i, part := range parts {
			var err error
			if boards[i], err = Decode(encode(part)); err != nil {
				t.Fatal(err)
			}
		}
		b := Merge(boards...)
		if b.Waiting() != n {
			t.Fatalf("%d wait of %d", b.Waiting(), n)
		}
		for i, s := range all {
			got, want := b.Position(s), i+1
			if i <= Exact && got != want || got < want || float64(got-want) > 0.001*float64(want) {
				t.Fatalf("of %d: place %d has position %d", n, i, got)
			}
		}
		if got := b.Position(all[n-1] + 1); got != n+1 {
			t.Fatalf("behind the last: %d", got)
		}
	}
}

// Thousands join between two boards. All of them are behind the last that the
// picture knows, and none of them may be told to be the next.
func TestAPlaceThatIsYoungerThanTheBoardHasNoPositionYet(t *testing.T) {
	b, err := Decode(encode(scores(10)))
	if err != nil {
		t.Fatal(err)
	}
	made := place.LiveScore(b.Made())
	for name, tt := range map[string]struct {
		score place.Score
		want  int
	}{
		"in the same moment":          {made, 11},
		"a microsecond later":         {made + 1, 0},
		"a second later":              {made + 1_000_000, 0},
		"deprioritised, later":        {made + 1 + place.Deprioritised.Base(), 0},
		"deprioritised, before":       {made - 1 + place.Deprioritised.Base(), 11},
		"older, and not in the queue": {made - 1, 11},
		"drawn, and not in the queue": {7, 1},
		"one that the board has":      {scores(10)[4], 5},
		"between two that it has":     {scores(10)[4] + 1, 6},
	} {
		if got := b.Position(tt.score); got != tt.want {
			t.Errorf("%s: position %d, want %d", name, got, tt.want)
		}
	}
}

// A tier may fill up before those who wait already, and between two boards as well.
func TestAPlaceThatIsYoungerThanTheBoardHasNoPositionBeforeLaterTiers(t *testing.T) {
	var list []place.Score
	for _, s := range scores(10) {
		list = append(list, s+place.Tier(1).Base())
	}
	b, err := Decode(encode(list))
	if err != nil {
		t.Fatal(err)
	}
	made := place.LiveScore(b.Made())
	for name, tt := range map[string]struct {
		score place.Score
		want  int
	}{
		"a later one of the first tier":    {made + 1, 0},
		"an earlier one of the first tier": {made - 1, 1},
		"one that the board has":           {list[4], 5},
		"where the second tier begins":     {place.Tier(1).Base(), 1},
		"where the third tier begins":      {place.Tier(2).Base(), 11},
	} {
		if got := b.Position(tt.score); got != tt.want {
			t.Errorf("%s: position %d, want %d", name, got, tt.want)
		}
	}
}

func TestAnEmptyQueueHasABoard(t *testing.T) {
	b, err := Decode(encode(nil))
	if err != nil || b.Waiting() != 0 || b.Position(place.LiveBase) != 1 {
		t.Fatal(b, err)
	}
}

func TestTheStepFromDrawnToLivePlacesIsKept(t *testing.T) {
	all := []place.Score{1, 5, place.LiveBase + 1<<45, place.Deprioritised.Base() + 9}
	b, err := Decode(encode(all))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		if b.Position(s) != i+1 {
			t.Fatalf("place %d has position %d", i, b.Position(s))
		}
	}
}

func TestBytesThatAreNoBoardAreRefused(t *testing.T) {
	good := encode(scores(1500))
	for name, raw := range map[string][]byte{
		"empty": nil, "short head": good[:10], "other version": append([]byte{9}, good[1:]...),
		"truncated": good[:len(good)-3], "an entry missing": good[:len(good)-6],
		"an entry more": append(append([]byte{}, good...), 0, 0, 0, 0, 0, 1),
	} {
		if _, err := Decode(raw); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestThePublicBoardIsSmallAndWithinOnePercent(t *testing.T) {
	all := scores(1_000_000)
	b, err := Decode(encode(all))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Waiting int
		Ranks   [][2]int64
	}
	if err := json.Unmarshal(raw, &doc); err != nil || doc.Waiting != len(all) {
		t.Fatal(err, doc.Waiting)
	}
	for rank := 0; rank < len(all); rank += 997 {
		i := sort.Search(len(doc.Ranks), func(i int) bool { return doc.Ranks[i][1] >= int64(all[rank]) })
		if got := int(doc.Ranks[i][0]); got < rank || float64(got-rank) > 0.0101*float64(rank)+1 {
			t.Fatalf("rank %d is shown as %d", rank, got)
		}
	}
	if len(raw) > 40<<10 {
		t.Fatalf("%d bytes", len(raw))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(scores(3)))
	f.Add(encode(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if b, err := Decode(raw); err == nil {
			b.Position(place.LiveBase)
			if _, err := json.Marshal(b); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkPosition(b *testing.B) {
	all := scores(5_000_000)
	board, err := Decode(encode(all))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 1_234_567) % len(all)
		board.Position(all[i])
	}
}
