package queue

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/internal/place"
)

// fill joins n visitors from four callers at once and returns the queue.
func fill(b *testing.B, n int) *Queue {
	b.Helper()
	q, _ := setup(b, fast)
	joinMany(b, q, n, 0)
	return q
}

func joinMany(b *testing.B, q *Queue, n, from int) {
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		b.Fatal(err)
	}
	const callers = 4
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			entries := make([]Entry, 0, MaxBatch)
			for i := c; i < n; i += callers {
				e := Entry{}
				copy(e.Visitor[:], salt[:])
				binary.BigEndian.PutUint64(e.Visitor[8:], uint64(from+i))
				if entries = append(entries, e); len(entries) < MaxBatch && i+callers < n {
					continue
				}
				if _, err := q.JoinBatch(b.Context(), entries); err != nil {
					b.Error(err)
					return
				}
				entries = entries[:0]
			}
		})
	}
	all.Wait()
}

func BenchmarkJoinBatch(b *testing.B) {
	q, _ := setup(b, fast)
	b.ResetTimer()
	joinMany(b, q, b.N, 0)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "joins/s")
}

func BenchmarkJoinOneByOne(b *testing.B) {
	q, _ := setup(b, fast)
	b.SetParallelism(500)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			v, err := place.NewVisitor(rand.Reader)
			if err == nil {
				_, err = q.Join(b.Context(), Entry{Visitor: v})
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "joins/s")
}

func BenchmarkBoard(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			q := fill(b, n)
			b.ResetTimer()
			for b.Loop() {
				if err := q.rdb.Del(b.Context(), q.first().keys.Board).Err(); err != nil {
					b.Fatal(err)
				}
				if _, err := q.Board(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			size, err := q.rdb.StrLen(b.Context(), q.first().keys.Board).Result()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}

func BenchmarkAdmitThousand(b *testing.B) {
	q := fill(b, 200_000)
	roomy := fast
	roomy.Active = 1 << 30 // however long it runs, the cap is not what stops it
	if err := q.Configure(b.Context(), roomy); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		joinMany(b, q, 1000, b.N+1)
		if err := q.rdb.HSet(b.Context(), q.first().keys.Room, "tokens", 1000).Err(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		got, err := q.Tick(b.Context(), TickInput{Limit: NoLimit})
		if err != nil || got.Admitted != 1000 {
			b.Fatal(got.Admitted, err)
		}
	}
}
