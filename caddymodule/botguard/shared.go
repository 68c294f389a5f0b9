package botguard

import (
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/velocity"
)

// states keeps counts, the breaker and metrics alive while configs come and go.
// Its keys are Redis clients, which the tickets app keeps in the same way.
var states = caddy.NewUsagePool()

// state is what every botguard on one Redis has in common.
type state struct {
	*metrics
	limiter *velocity.Limiter
}

func acquire(rdb redis.UniversalClient, log *slog.Logger) (*state, error) {
	v, _, err := states.LoadOrNew(rdb, func() (caddy.Destructor, error) {
		l := velocity.New(wallClock, rdb, slog.New(log.Handler())) // outlives this config
		return &state{metrics: newMetrics(l), limiter: l}, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*state), nil
}

func release(rdb redis.UniversalClient) error {
	_, err := states.Delete(rdb)
	return err
}

// Destruct implements caddy.Destructor. There is nothing to close: the client is
// the tickets app's.
func (*state) Destruct() error { return nil }
