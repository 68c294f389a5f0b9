// Package velocity counts how often a key may do something: so many times per
// window, over all edges. It knows no HTTP and no Caddy.
//
//	Take ──► table (this process, GCRA) ──► breaker ──► Redis (all edges, ulule/limiter)
//
// The table in front takes no round trip. It stops a flood before it reaches
// Redis, smooths the edge of Redis' fixed windows (at which a key could act
// twice its limit within a moment), and is what remains while Redis is away.
//
// What must hold: memory is bounded however many keys there are; a Redis that is
// gone or hangs costs a caller Patience at most, and nearly nobody even that; and
// nothing is decided against a caller because Redis is away.
//
// Keys are sent to Redis as keyed hashes, so that no address stands there.
package velocity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"
	store "github.com/ulule/limiter/v3/drivers/store/redis"

	"github.com/caddy-tickets/caddy-tickets/internal/clock"
)

// Patience bounds one call to Redis. A counter takes well below a millisecond; the
// queue's slowest script, which may run first, 30.
const Patience = 50 * time.Millisecond

// The ends of a rule.
const (
	MaxCount  = 1_000_000_000
	MinWindow = time.Second
	MaxWindow = 24 * time.Hour
)

// keyPrefix begins every key in Redis: tickets:velocity:RULE:KEY, both hashes. They
// carry no hash tag, so they spread over a cluster.
const keyPrefix = "tickets:velocity:"

// Limiter is what the rules of one process and one Redis share. It is safe for
// concurrent use and lives as long as the process: its counts outlive configs.
type Limiter struct {
	clock   clock.Clock
	redis   redis.UniversalClient
	log     *slog.Logger
	table   *table
	breaker breaker
	errors  atomic.Int64
}

// New makes a limiter. It dials nothing.
func New(c clock.Clock, rdb redis.UniversalClient, log *slog.Logger) *Limiter {
	return &Limiter{clock: c, redis: rdb, log: log, table: newTable()}
}

// Stats are what an operator sees of a limiter.
type Stats struct {
	Keys        int   // in this process' table
	RedisErrors int64 // calls that failed, since the start
	BreakerOpen bool  // Redis failed, and is only tried now and then
}

// Stats reads the numbers.
func (l *Limiter) Stats() Stats {
	return Stats{Keys: l.table.len(), RedisErrors: l.errors.Load(), BreakerOpen: l.breaker.open()}
}

// Rule is one limit. Two rules with the same name share their counts.
type Rule struct {
	name   string
	limit  limit
	shared *limiter.Limiter // nil for a local rule
	secret []byte
	l      *Limiter
}

// Rule makes a rule that counts over all edges. The secret keys the hashes of
// its keys and must be the same on every edge.
func (l *Limiter) Rule(name string, count int, window time.Duration, secret []byte) (*Rule, error) {
	r, err := l.Local(name, count, window)
	if err != nil {
		return nil, err
	}
	r.secret = secret
	sum := sha256.Sum256([]byte(name))
	// The library's own fault is a key that two rates share; each rule has a prefix.
	s, err := store.NewStoreWithOptions(&lazyClient{UniversalClient: l.redis}, limiter.StoreOptions{
		Prefix: keyPrefix + hex.EncodeToString(sum[:6]),
	})
	if err != nil {
		return nil, fmt.Errorf("velocity %s: %w", name, err)
	}
	r.shared = limiter.New(s, limiter.Rate{Period: window, Limit: int64(count)})
	return r, nil
}

// Local makes a rule that counts in this process alone.
func (l *Limiter) Local(name string, count int, window time.Duration) (*Rule, error) {
	if err := Check(count, window); err != nil {
		return nil, err
	}
	return &Rule{name: name, limit: newLimit(count, window), l: l}, nil
}

// Check refuses limits that cannot be meant.
func Check(count int, window time.Duration) error {
	switch {
	case count < 1 || count > MaxCount:
		return fmt.Errorf("a limit of %d: it must be a whole number from 1 to %d", count, MaxCount)
	case window < MinWindow || window > MaxWindow:
		return fmt.Errorf("a window of %s: it must be from %s to %s", window, MinWindow, MaxWindow)
	}
	return nil
}

// Name is the rule's name.
func (r *Rule) Name() string { return r.name }

// By says who decided.
type By string

// Those who decide.
const (
	ByProcess By = "process"
	ByFleet   By = "fleet"
)

// Verdict is whether a key may act, and if not, when it may ask again.
type Verdict struct {
	Allowed    bool
	RetryAfter time.Duration
	By         By
}

// Take counts one act of the key. It returns within Patience, whatever Redis does.
func (r *Rule) Take(ctx context.Context, key string) Verdict {
	now := r.l.clock.Now()
	if wait := r.l.table.take(r.name, key, now, r.limit); wait > 0 {
		return Verdict{RetryAfter: wait, By: ByProcess}
	}
	if r.shared == nil || !r.l.breaker.enter(now) {
		return Verdict{Allowed: true, By: ByProcess}
	}
	// The caller's own end is no fault of Redis: only the patience ends the call.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
	defer cancel()
	state, err := r.shared.Increment(ctx, r.hash(key), 1)
	r.l.settle(err)
	switch {
	case err != nil:
		return Verdict{Allowed: true, By: ByProcess}
	case state.Reached:
		// The library tells the end of the window to the second only.
		wait := time.Unix(state.Reset, 0).Sub(now)
		return Verdict{RetryAfter: min(max(wait, time.Second), r.limit.window), By: ByFleet}
	}
	return Verdict{Allowed: true, By: ByFleet}
}

// hash hides the key and bounds its length.
func (r *Rule) hash(key string) string {
	mac := hmac.New(sha256.New, r.secret)
	mac.Write([]byte(key))
	return hex.EncodeToString(mac.Sum(nil)[:12]) // 96 bits: no two keys of a sale meet
}

// settle tells the breaker how a call went and logs when things change.
func (l *Limiter) settle(err error) {
	if err != nil {
		l.errors.Add(1)
	}
	switch l.breaker.leave(l.clock.Now(), err == nil) {
	case opened:
		l.log.Warn("Redis does not count: velocity limits hold for each edge by itself until it is back", "error", err)
	case closed:
		l.log.Info("Redis counts again: velocity limits hold for the fleet")
	case unchanged:
	}
}
