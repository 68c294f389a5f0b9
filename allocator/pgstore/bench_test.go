package pgstore_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/storetest"
	"github.com/caddy-tickets/caddy-tickets/internal/devstack"
	"github.com/caddy-tickets/caddy-tickets/migrations"
)

// durable is a store on a server that waits for its disk, as one in a sale does.
func durable(b *testing.B) *pgstore.Store {
	b.Helper()
	server, err := devstack.StartPostgres(b.Context(), devstack.PostgresOptions{Durable: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Stop() })
	if err := server.CreateDatabase(b.Context(), "bench"); err != nil {
		b.Fatal(err)
	}
	if err := migrations.Up(b.Context(), server.DSN("bench")); err != nil {
		b.Fatal(err)
	}
	store, err := pgstore.Open(server.DSN("bench"), pgstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(store.Close)
	return store
}

// sellers is how many requests are under way at once, for each core.
const sellers = 16

// sell claims two cells at a time, of as many stadiums as it takes.
func sell(b *testing.B, after func(ctx context.Context, store *pgstore.Store, booking *allocator.Booking) error) {
	const seats = 50_000
	store := durable(b)
	halls := make([]storetest.Hall, 1+2*b.N/seats)
	for i := range halls {
		halls[i] = storetest.Build(b, store, seats)
	}
	var next atomic.Int64
	b.SetParallelism(sellers)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := int(next.Add(2)) - 2
			booking := halls[n/seats].Booking(n%seats, n%seats+1)
			if err := store.Claim(b.Context(), booking); err != nil {
				b.Error(err)
				return
			}
			if err := after(b.Context(), store, booking); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "bookings/s")
}

func BenchmarkClaim(b *testing.B) {
	sell(b, func(context.Context, *pgstore.Store, *allocator.Booking) error { return nil })
}

// BenchmarkClaimAndBook makes the three commits of a sale: claim, the call to the
// provider, the sale.
func BenchmarkClaimAndBook(b *testing.B) {
	sell(b, func(ctx context.Context, store *pgstore.Store, booking *allocator.Booking) error {
		booking.Attempt, booking.PaymentID = 1, "pay_"+booking.ID
		if _, err := store.Advance(ctx, booking, allocator.Authorising, allocator.Claimed); err != nil {
			return err
		}
		_, err := store.Advance(ctx, booking, allocator.BookedState, allocator.Authorising)
		return err
	})
}
