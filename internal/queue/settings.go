package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Settings are what a room is tuned by, in whole milliseconds.
type Settings struct {
	Rate         int           // admissions per Per; above zero
	Per          time.Duration // a second, a minute or an hour
	Burst        int           // most admissions at one moment; 0 is DefaultBurst
	Active       int           // cap of turns and sessions together; above zero
	Session      time.Duration // life of a session
	ClaimWithin  time.Duration // how long a turn waits to be claimed
	AbandonAfter time.Duration // how long a place may be away; 0 is for ever
	MaxQueue     int           // most places that wait; 0 is no limit
	Shards       int           // parts of the room, 0 and 1 are one; Split says them to the Queue
}

// DefaultBurst is a second's worth of admissions, at least one: ticks come
// four times a second, so the rate is met exactly and never bunched up.
func (s Settings) DefaultBurst() int {
	return max(1, int(float64(s.Rate)*float64(time.Second)/float64(s.Per)+0.5))
}

// Check says what is wrong with the settings.
func (s Settings) Check() error {
	switch {
	case s.Rate <= 0 || s.Per <= 0:
		return errors.New("the rate must be above zero; to stop admission, pause the room")
	case s.Active <= 0:
		return errors.New("the cap of active passes must be above zero")
	case s.Burst < 0 || s.MaxQueue < 0 || s.AbandonAfter < 0:
		return errors.New("burst, max_queue and abandon_after cannot be negative")
	case s.Shards < 0 || s.Shards > MaxShards:
		return fmt.Errorf("a room can be split into %d shards at most", MaxShards)
	case s.Session < time.Second || s.ClaimWithin < time.Second:
		return errors.New("a session and the time to claim must last a second or more")
	}
	return nil
}

// Configure puts the settings in force for the whole fleet. The last call wins,
// whichever edge makes it.
func (q *Queue) Configure(ctx context.Context, s Settings) error {
	return q.order(ctx, Order{What: WhatSettings, Settings: s})
}

// share tells the other shards what they need of the settings.
func (q *Queue) share(ctx context.Context, s Settings) error {
	return q.each(func(i int, part *shard) error {
		if i == 0 {
			return nil
		}
		return unavailableOrNil("configuring", q.rdb.HSet(ctx, part.keys.Room, s.fields()...).Err())
	})
}

// SetRate changes the rate alone, until the next Configure.
func (q *Queue) SetRate(ctx context.Context, rate int, per time.Duration) error {
	return q.order(ctx, Order{What: WhatRate, Rate: rate, Per: per})
}

// Pause stops admission; places, joins and passes stay as they are.
func (q *Queue) Pause(ctx context.Context) error { return q.order(ctx, Order{What: WhatPause}) }

// Resume undoes Pause.
func (q *Queue) Resume(ctx context.Context) error { return q.order(ctx, Order{What: WhatResume}) }

// SetMessage shows a text to everybody who waits; an empty one takes it away.
func (q *Queue) SetMessage(ctx context.Context, text string) error {
	return q.order(ctx, Order{What: WhatMessage, Message: text})
}

// order is Give of nobody in particular.
func (q *Queue) order(ctx context.Context, o Order) error {
	_, err := q.Give(ctx, o)
	return err
}
