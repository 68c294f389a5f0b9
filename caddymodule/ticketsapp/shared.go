package ticketsapp

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/redisconn"
)

// backends keeps what belongs to one Redis alive while configs come and go. Its
// keys are addresses: where the state is, never how it is tuned.
var backends = caddy.NewUsagePool()

// shared is what every config on one Redis has in common.
type shared struct {
	redis    redis.UniversalClient
	requests *prometheus.CounterVec // by room, action and outcome
}

func acquire(address string) (*shared, error) {
	v, _, err := backends.LoadOrNew(address, func() (caddy.Destructor, error) {
		rdb, err := redisconn.Open(address)
		if err != nil {
			return nil, err
		}
		return &shared{redis: rdb, requests: newRequestCounter()}, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*shared), nil
}

func release(address string) error {
	_, err := backends.Delete(address)
	return err
}

// Destruct implements caddy.Destructor: the last config that used it is gone.
func (s *shared) Destruct() error {
	if err := s.redis.Close(); err != nil {
		return fmt.Errorf("closing Redis: %w", err)
	}
	return nil
}
