// Package redislock keeps the timed locks on cells in Redis. It implements
// allocator.Locks; the only package of the allocator that talks to Redis.
//
// Each method is one call of a Redis Function (lua/), which is atomic; only
// Rebuild is several. What must hold between any two calls:
//
//   - a cell has a lock key, is in `own`, is counted as held or booked, and is
//     shown so on the map: all of these or, when its hold's time is over and
//     nobody swept yet, all but the lock key;
//   - a holder's counter is the number of cells in the holder's holds;
//   - a unit of a standing area is on its free list exactly when nobody owns it.
//
// All keys of an event share the hash tag {e:SLUG}. Redis is never an authority
// for money: whatever is lost here, PostgreSQL still refuses the second claim.
package redislock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

const (
	// payGrace is how long after its deadline a payment's cells stay locked
	// although nobody ended it. It only catches an allocator that died: the
	// recovery of another one is done within minutes.
	payGrace = 10 * time.Minute
	// minAfterRefusal is what a fan has to try another card.
	minAfterRefusal = time.Minute
	// maxCells bounds one hold; the surface refuses more than 100 before.
	maxCells = 500
	// sweepBatch bounds how long one sweep call keeps Redis busy: 100 holds of
	// a few cells take about 2 ms.
	sweepBatch = 100
)

// Locks implements allocator.Locks. Safe for concurrent use.
type Locks struct {
	rdb     redis.UniversalClient
	library library
}

// New returns locks on the server behind rdb. Nothing is dialled.
func New(rdb redis.UniversalClient) *Locks {
	return &Locks{rdb: rdb, library: newLibrary()}
}

// Hold implements allocator.Locks.
func (l *Locks) Hold(ctx context.Context, req allocator.HoldRequest) (allocator.Hold, error) {
	if err := check(req); err != nil {
		return allocator.Hold{}, err
	}
	e := req.Event
	keys := append(make([]string, 0, 2+len(req.Cells)), metaKey(e.Slug), holdKey(e.Slug, req.HoldID))
	args := append(make([]any, 0, 7+len(req.Cells)), e.Epoch, req.HoldID, req.Holder,
		e.HoldTTL.Milliseconds(), e.MaxPerPass, req.Area, req.Quantity)
	for _, cell := range req.Cells {
		keys = append(keys, cellKey(e.Slug, cell))
		args = append(args, cell)
	}
	reply, err := l.call(ctx, "hold", keys, args...)
	if err != nil {
		return allocator.Hold{}, err
	}
	return parseHold(e, req.HoldID, req.Holder, reply)
}

// check refuses what would be a mistake of the caller, before it costs a call.
func check(req allocator.HoldRequest) error {
	switch {
	case req.HoldID == "" || req.Holder == "":
		return errors.New("a hold needs an id and a holder")
	case req.Event.HoldTTL < time.Millisecond:
		return fmt.Errorf("hold time of %v", req.Event.HoldTTL)
	case req.Area != "" && len(req.Cells) > 0:
		return errors.New("a hold is of cells or of an area, not both")
	case req.Area != "" && req.Quantity < 1, req.Area == "" && len(req.Cells) == 0:
		return errors.New("a hold of nothing")
	case len(req.Cells) > maxCells || req.Quantity > maxCells:
		return allocator.ErrHoldLimit
	}
	seen := make(map[string]struct{}, len(req.Cells))
	for _, cell := range req.Cells {
		if _, twice := seen[cell]; twice {
			return fmt.Errorf("cell %q is wanted twice", cell)
		}
		seen[cell] = struct{}{}
	}
	return nil
}

// Get implements allocator.Locks. A hold that has ended is ErrHoldExpired for
// some minutes and ErrHoldUnknown after.
func (l *Locks) Get(ctx context.Context, e *allocator.Event, holdID, holder string) (allocator.Hold, error) {
	reply, err := l.call(ctx, "get", holdKeys(e, holdID), e.Epoch, holdID, holder)
	if err != nil {
		return allocator.Hold{}, err
	}
	return parseHold(e, holdID, holder, reply)
}

// Release implements allocator.Locks. A paying hold stays as it is: a page that
// is left for the bank's must not lose its seats.
func (l *Locks) Release(ctx context.Context, e *allocator.Event, holdID, holder string) error {
	_, err := l.call(ctx, "release", holdKeys(e, holdID), e.Epoch, holdID, holder)
	if gone(err) {
		return nil
	}
	return err
}

// BeginPayment implements allocator.Locks. The returned hold expires at until.
func (l *Locks) BeginPayment(ctx context.Context, e *allocator.Event, holdID, holder string, until time.Time) (allocator.Hold, error) {
	reply, err := l.call(ctx, "pay", holdKeys(e, holdID), e.Epoch, holdID, holder, until.UnixMilli(), payGrace.Milliseconds())
	if err != nil {
		return allocator.Hold{}, err
	}
	return parseHold(e, holdID, holder, reply)
}

// EndPayment implements allocator.Locks. A hold that is gone is no error.
func (l *Locks) EndPayment(ctx context.Context, e *allocator.Event, holdID string, until time.Time) error {
	args := []any{e.Epoch, holdID, minAfterRefusal.Milliseconds()}
	if !until.IsZero() {
		args = append(args, until.UnixMilli())
	}
	_, err := l.call(ctx, "unpay", holdKeys(e, holdID), args...)
	if gone(err) {
		return nil
	}
	return err
}

// Book implements allocator.Locks.
func (l *Locks) Book(ctx context.Context, e *allocator.Event, holdID string, cells []string) error {
	args := append(make([]any, 0, 2+len(cells)), e.Epoch, holdID)
	for _, cell := range cells {
		args = append(args, cell)
	}
	_, err := l.call(ctx, "book", holdKeys(e, holdID), args...)
	return err
}

// Free implements allocator.Locks. It frees what the hold still owns and
// nothing else: repeated late, it must not take cells from their next holder.
func (l *Locks) Free(ctx context.Context, e *allocator.Event, holdID string, _ []string) error {
	_, err := l.call(ctx, "free", holdKeys(e, holdID), e.Epoch, holdID)
	return err
}

var _ allocator.Locks = (*Locks)(nil)
