// Package service runs an allocator: it wires the domain to Redis, PostgreSQL and
// the payment provider, serves the surface, and works in the background. It starts
// whatever is missing, says what that is, and goes on by itself when it is there.
package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/allocator"
	"github.com/caddy-tickets/caddy-tickets/allocator/httpapi"
	"github.com/caddy-tickets/caddy-tickets/allocator/livemap"
	"github.com/caddy-tickets/caddy-tickets/allocator/payment/sandbox"
	"github.com/caddy-tickets/caddy-tickets/allocator/pgstore"
	"github.com/caddy-tickets/caddy-tickets/allocator/redislock"
	"github.com/caddy-tickets/caddy-tickets/allocator/sale"
	"github.com/caddy-tickets/caddy-tickets/internal/clock"
	"github.com/caddy-tickets/caddy-tickets/internal/pass"
	"github.com/caddy-tickets/caddy-tickets/internal/redisconn"
)

// Config says where everything is. Redis, Database and JWKS are required.
type Config struct {
	Redis    string // address, see package redisconn
	Database string // PostgreSQL DSN
	JWKS     string // URL or file of the keys that passes are checked with

	// Sandbox is the only provider so far.
	Sandbox sandbox.Options

	Map livemap.Settings
	Log *slog.Logger
}

// Service is an allocator. Make one with New, run it with Run.
type Service struct {
	log      *slog.Logger
	redis    redis.UniversalClient
	store    *pgstore.Store
	provider *sandbox.Provider
	sale     *sale.Sale
	maps     *livemap.Maps
	handler  http.Handler
}

// Limits of the HTTP server.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	// writeTimeout is longer than a checkout waits for its provider and then for the
	// database. Streams of the map have left the server's care and its limits.
	writeTimeout = time.Minute
	idleTimeout  = 2 * time.Minute
	maxHeader    = 32 << 10
	// stopWithin bounds the end: requests under way are finished, streams are told
	// to come back.
	stopWithin = 15 * time.Second
	readyEvery = 5 * time.Second
	askWithin  = 2 * time.Second
	// soldOutWithin bounds the look at the map before a hold. There may be none yet.
	soldOutWithin = 100 * time.Millisecond
	// Replies are kept for repeats longer than any client tries; after that a
	// checkout's own booking still finds its key.
	keepReplies = 48 * time.Hour
	pruneEvery  = 10 * time.Minute
	pruneLimit  = 1000
)

// New wires an allocator. Nothing is dialled; errors are those of the config.
func New(c Config) (*Service, error) {
	s := &Service{log: c.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.open(c); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *Service) open(c Config) (err error) {
	clk := clock.System()
	keys, err := pass.NewRemoteJWKS(c.JWKS, &http.Client{Timeout: 5 * time.Second}, clk, s.log)
	if err != nil {
		return fmt.Errorf("the keys of passes: %w", err)
	}
	if s.redis, err = redisconn.Open(c.Redis); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	if s.store, err = pgstore.Open(c.Database, pgstore.Options{}); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	if len(c.Sandbox.Secret) == 0 {
		c.Sandbox.Secret = make([]byte, 32)
		if _, err := rand.Read(c.Sandbox.Secret); err != nil {
			return fmt.Errorf("making the sandbox's secret: %w", err)
		}
	}
	wired := make(chan struct{}) // the provider sends as soon as it is there, the sale comes after it
	if c.Sandbox.Deliver == nil {
		c.Sandbox.Deliver = func(ctx context.Context, body []byte, signature string) error {
			select {
			case <-wired:
				return s.sale.Webhook(ctx, body, signature)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	if s.provider, err = sandbox.New(c.Sandbox); err != nil {
		return err
	}
	locks := redislock.New(s.redis)
	s.maps = livemap.New(livemap.Deps{
		Source: locks, Catalog: s.store, Clock: clk, Log: s.log,
		Rebuild: func(ctx context.Context, e *allocator.Event) error { return s.sale.Rebuild(ctx, e) },
	}, c.Map)
	s.sale = sale.New(sale.Deps{
		Store: s.store, Outbox: s.store, Webhooks: s.store, Locks: locks, Provider: s.provider, Clock: clk, Log: s.log,
		SoldOut: func(ctx context.Context, slug string) bool {
			ctx, cancel := context.WithTimeout(ctx, soldOutWithin)
			defer cancel()
			known, err := s.maps.Summary(ctx, slug)
			return err == nil && known.State == livemap.StateSoldOut
		},
	})
	close(wired)
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(s.sale, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tickets_allocator_map_viewers", Help: "Open streams of live maps."},
			func() float64 { return float64(s.maps.Viewers()) }))
	s.handler = httpapi.New(httpapi.Deps{
		Sale: s.sale, Maps: s.maps, Idempotency: s.store, Passes: pass.NewVerifier(keys, clk), Provider: s.provider.Name(),
		Clock: clk, Log: s.log, Metrics: metrics, Ready: s.ready,
	})
	return nil
}

// Handler is the surface, for tests.
func (s *Service) Handler() http.Handler { return s.handler }

// Run serves on a listener until ctx ends, then finishes what is under way.
func (s *Service) Run(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var background sync.WaitGroup
	background.Go(func() { s.sale.Run(work) })
	background.Go(func() { s.watch(work) })
	background.Go(func() { s.prune(work) })
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.log.Info("the allocator listens", "address", listener.Addr().String())

	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	err = errors.Join(err, s.maps.Close(end), server.Shutdown(end))
	stop()
	background.Wait()
	return errors.Join(err, s.close())
}

func (s *Service) close() error {
	var errs []error
	if s.provider != nil {
		errs = append(errs, s.provider.Close())
	}
	if s.store != nil {
		s.store.Close()
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	return errors.Join(errs...)
}

// ready says which server is missing.
func (s *Service) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var errs []error
	if err := s.store.Ready(ctx); err != nil {
		errs = append(errs, fmt.Errorf("PostgreSQL is not ready: %w", err))
	}
	if err := s.redis.Ping(ctx).Err(); err != nil {
		errs = append(errs, fmt.Errorf("Redis is not ready: %w", err)) //nolint:staticcheck // a name
	}
	return errors.Join(errs...)
}

// prune forgets old replies. A failed round is made up for by the next.
func (s *Service) prune(ctx context.Context) {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		n, err := s.store.PruneReplies(ctx, keepReplies, pruneLimit)
		if err == nil && n == pruneLimit {
			continue // there are more
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// watch logs once when a server goes missing and once when all are back.
func (s *Service) watch(ctx context.Context) {
	ticker := time.NewTicker(readyEvery)
	defer ticker.Stop()
	missing := ""
	for {
		now := ""
		if err := s.ready(ctx); err != nil {
			now = err.Error()
		}
		switch {
		case ctx.Err() != nil:
			return
		case now != "" && missing == "":
			s.log.Error("a server is missing; the allocator goes on by itself when it is back", "error", now)
		case now == "" && missing != "":
			s.log.Info("all servers answer again")
		}
		missing = now
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
