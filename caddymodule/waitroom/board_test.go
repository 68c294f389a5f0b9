package waitroom

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/board"
	"github.com/caddy-tickets/caddy-tickets/internal/place"
	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// fiveMillion is the board of as many places, taken live within some minutes.
func fiveMillion(t testing.TB) *board.Board {
	t.Helper()
	const places = 5_000_000
	dice := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's dice
	raw := []byte{1}
	raw = binary.BigEndian.AppendUint64(raw, 1_700_000_000_000)
	raw = binary.BigEndian.AppendUint64(raw, places)
	raw = binary.BigEndian.AppendUint64(raw, uint64(place.LiveBase)+28_000_000_000_000)
	for rank := 0; rank < places-1; {
		next := min(board.Next(rank), places-1)
		var step [8]byte
		binary.BigEndian.PutUint64(step[:], uint64(next-rank)*60+dice.Uint64N(1000))
		raw = append(raw, step[2:]...)
		rank = next
	}
	b, err := board.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// maxBoard is what a fan on a slow line may have to load, compressed.
const maxBoard = 16 << 10

func TestTheBoardOfFiveMillionIsSmallAndWithinOnePercent(t *testing.T) {
	order := fiveMillion(t)
	var all boards
	v := &room.View{Room: "arena", State: room.Open, Board: order, Waiting: order.Waiting()}
	written, err := all.of(v)
	if err != nil {
		t.Fatal(err)
	}
	if len(written.gzipped) > maxBoard {
		t.Errorf("%d bytes compressed", len(written.gzipped))
	}
	t.Logf("%d bytes, %d compressed", len(written.plain), len(written.gzipped))
	if again, _ := all.of(v); again != written {
		t.Error("one view is written twice")
	}
	if other, _ := all.of(&room.View{Room: "arena", State: room.Paused}); other == written {
		t.Error("another view is not written")
	}
	var doc struct{ Order struct{ Ranks [][2]int64 } }
	if err := json.Unmarshal(written.plain, &doc); err != nil {
		t.Fatal(err)
	}
	for i, entry := range doc.Order.Ranks {
		if exact := order.Position(place.Score(entry[1])); exact != int(entry[0])+1 {
			t.Fatalf("rank %d has position %d", entry[0], exact)
		}
		if i > 0 {
			if before := doc.Order.Ranks[i-1][0]; entry[0]-before > max(1, before/100) {
				t.Fatalf("from rank %d to %d is more than 1 %%", before, entry[0])
			}
		}
	}
}

func BenchmarkBoard(b *testing.B) {
	order := fiveMillion(b)
	for b.Loop() {
		var all boards
		if _, err := all.of(&room.View{Board: order}); err != nil {
			b.Fatal(err)
		}
	}
}
