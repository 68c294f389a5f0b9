package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/internal/redisconn"
)

// meteredRedis is a private server with a client that counts what passes.
type meteredRedis struct {
	url    string
	client redis.UniversalClient
	meter
}

// meter counts what edges ask of Redis, and the bytes that they get.
type meter struct{ commands, received atomic.Int64 }

func (l *lab) meteredRedis(ctx context.Context) (*meteredRedis, error) {
	url, err := l.redis(ctx)
	if err != nil {
		return nil, err
	}
	return l.meter(url)
}

// meter opens a server that is there already.
func (l *lab) meter(url string) (*meteredRedis, error) {
	r := &meteredRedis{url: url}
	options, err := r.options(&r.meter)
	if err != nil {
		return nil, err
	}
	options.ReadTimeout, options.WriteTimeout = patience, patience
	r.client = r.open(options, &r.meter)
	l.onClose(func() { _ = r.client.Close() })
	return r, nil
}

// patience is how long the benchmark itself waits for a Redis that it drives as
// hard as it can. An edge waits less.
const patience = 10 * time.Second

// options are those of an edge, with its traffic counted by m.
func (r *meteredRedis) options(m *meter) (*redis.UniversalOptions, error) {
	options, err := redisconn.Parse(r.url)
	if err != nil {
		return nil, err
	}
	options.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "/") {
			network = "unix"
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &meteredConn{conn, m}, nil
	}
	return options, nil
}

func (r *meteredRedis) open(options *redis.UniversalOptions, m *meter) redis.UniversalClient {
	client := redis.NewUniversalClient(options)
	client.AddHook(m)
	return client
}

type meteredConn struct {
	net.Conn
	meter *meter
}

func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.meter.received.Add(int64(n))
	return n, err
}

// DialHook implements redis.Hook.
func (m *meter) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (m *meter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		m.commands.Add(1)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (m *meter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		m.commands.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// empty forgets everything, and returns when the memory is free again.
func (r *meteredRedis) empty(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := r.client.FlushAll(ctx).Err(); err != nil {
		return fmt.Errorf("emptying Redis: %w", err)
	}
	return nil
}

// info is a field of INFO as a number.
func (r *meteredRedis) info(ctx context.Context, section, field string) (float64, error) {
	text, err := r.client.Info(ctx, section).Result()
	if err != nil {
		return 0, fmt.Errorf("asking Redis about its %s: %w", section, err)
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == field {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("INFO %s of Redis has no field %s", section, field)
}

// cpu is what the server has used so far.
func (r *meteredRedis) cpu(ctx context.Context) (time.Duration, error) {
	user, err := r.info(ctx, "cpu", "used_cpu_user")
	if err != nil {
		return 0, err
	}
	system, err := r.info(ctx, "cpu", "used_cpu_sys")
	return time.Duration((user + system) * float64(time.Second)), err
}
