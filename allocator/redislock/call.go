package redislock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// The first words of a function's reply.
const (
	codeOK       = "OK"
	codeDone     = "DONE" // a rebuild as new as this one or newer is finished
	codeMore     = "MORE"
	codeEpoch    = "EPOCH"
	codeUnknown  = "UNKNOWN"
	codeConflict = "CONFLICT"
	codeShort    = "SHORT"
	codeLimit    = "LIMIT"
	codeAllHeld  = "ALLHELD"
	codeSoldOut  = "SOLDOUT"
	codeGone     = "GONE"
	codeEnded    = "ENDED"
	codeNotYours = "NOTYOURS"
	codePaying   = "PAYING"
	codeOther    = "OTHER"
)

// call runs one function and returns the reply after its first word. A word
// that is no success comes back as the error that ports.go names for it.
func (l *Locks) call(ctx context.Context, name string, keys []string, args ...any) ([]string, error) {
	code, rest, err := l.ask(ctx, name, keys, args...)
	if err != nil {
		return nil, err
	}
	return rest, refusal(code, rest)
}

func (l *Locks) ask(ctx context.Context, name string, keys []string, args ...any) (string, []string, error) {
	function := l.library.function(name)
	reply, err := l.rdb.FCall(ctx, function, keys, args...).StringSlice()
	if missing(err) {
		if err := l.library.load(ctx, l.rdb); err != nil {
			return "", nil, unavailable(err)
		}
		reply, err = l.rdb.FCall(ctx, function, keys, args...).StringSlice()
	}
	if err != nil {
		return "", nil, unavailable(fmt.Errorf("calling %s: %w", name, err))
	}
	if len(reply) == 0 {
		return "", nil, unavailable(errors.New("empty reply of " + name))
	}
	return reply[0], reply[1:], nil
}

func unavailable(err error) error {
	return fmt.Errorf("%w: %w", allocator.ErrUnavailable, err)
}

func refusal(code string, rest []string) error {
	switch code {
	case codeOK, codeDone, codeMore, codePaying:
		return nil
	case codeEpoch:
		return allocator.ErrEpoch
	case codeUnknown:
		return fmt.Errorf("%w: %q", allocator.ErrCellUnknown, strings.Join(rest, " "))
	case codeConflict:
		return &allocator.ConflictError{Cells: rest}
	case codeShort:
		short := &allocator.AreaShortError{Area: rest[0]}
		short.Available, _ = strconv.Atoi(rest[1])
		return short
	case codeLimit:
		return allocator.ErrHoldLimit
	case codeAllHeld:
		return allocator.ErrAllHeld
	case codeSoldOut:
		return allocator.ErrSoldOut
	case codeGone:
		return allocator.ErrHoldUnknown
	case codeEnded:
		return allocator.ErrHoldExpired
	case codeNotYours:
		return allocator.ErrHoldNotYours
	case codeOther:
		return allocator.ErrKeyMismatch
	default:
		return unavailable(fmt.Errorf("unreadable reply %q", code))
	}
}

// gone tells whether a hold does not exist any more, which for everything that
// ends one is as good as success.
func gone(err error) bool {
	return errors.Is(err, allocator.ErrHoldUnknown) || errors.Is(err, allocator.ErrHoldExpired)
}

// fenceShift leaves 2^40 holds to an epoch, and 2^23 epochs below the sign.
const fenceShift = 40

// parseHold reads what the function `reply` in lua/hold.lua wrote.
func parseHold(event *allocator.Event, id, holder string, r []string) (allocator.Hold, error) {
	if len(r) != 8 {
		return allocator.Hold{}, unavailable(fmt.Errorf("hold of %d fields", len(r)))
	}
	var n [4]int64 // epoch, fence, made, expires
	for i := range n {
		v, err := strconv.ParseInt(r[i], 10, 64)
		if err != nil {
			return allocator.Hold{}, unavailable(fmt.Errorf("reading hold: %w", err))
		}
		n[i] = v
	}
	h := allocator.Hold{
		ID: id, Event: event.Slug, Holder: holder,
		Fence:  n[0]<<fenceShift | n[1],
		MadeAt: time.UnixMilli(n[2]).UTC(), Expires: time.UnixMilli(n[3]).UTC(),
		Paying: r[4] == "paying",
		Cells:  strings.Fields(r[5]),
	}
	for _, c := range strings.Fields(r[6]) {
		category, err := strconv.Atoi(c)
		if err != nil {
			return allocator.Hold{}, unavailable(fmt.Errorf("reading category: %w", err))
		}
		h.Category = append(h.Category, category)
	}
	return h, nil
}
