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
	case s.Session < time.Second || s.ClaimWithin < time.Second:
		return errors.New("a session and the time to claim must last a second or more")
	}
	return nil
}

// Configure puts the settings in force for the whole fleet. The last call wins,
// whichever edge makes it.
func (q *Queue) Configure(ctx context.Context, s Settings) error {
	if err := s.Check(); err != nil {
		return fmt.Errorf("configuring: %w", err)
	}
	if s.Burst == 0 {
		s.Burst = s.DefaultBurst()
	}
	return q.set(ctx, "rate", s.Rate, "per", s.Per.Milliseconds(), "burst", s.Burst, "cap", s.Active,
		"session", s.Session.Milliseconds(), "claim", s.ClaimWithin.Milliseconds(),
		"abandon", s.AbandonAfter.Milliseconds(), "max_queue", s.MaxQueue)
}

// SetRate changes the rate alone, until the next Configure.
func (q *Queue) SetRate(ctx context.Context, rate int, per time.Duration) error {
	if rate <= 0 || per <= 0 {
		return errors.New("setting the rate: it must be above zero; to stop admission, pause the room")
	}
	burst := Settings{Rate: rate, Per: per}.DefaultBurst()
	return q.set(ctx, "rate", rate, "per", per.Milliseconds(), "burst", burst)
}

// Pause stops admission; places, joins and passes stay as they are.
func (q *Queue) Pause(ctx context.Context) error { return q.set(ctx, "paused", 1) }

// Resume undoes Pause.
func (q *Queue) Resume(ctx context.Context) error { return q.set(ctx, "paused", 0) }

// MaxMessage bounds what an operator can tell every fan, in bytes.
const MaxMessage = 500

// SetMessage shows a text to everybody who waits; an empty one takes it away.
func (q *Queue) SetMessage(ctx context.Context, text string) error {
	if len(text) > MaxMessage {
		return fmt.Errorf("setting the message: it has %d bytes, more than %d", len(text), MaxMessage)
	}
	return q.set(ctx, "message", text)
}

func (q *Queue) set(ctx context.Context, fields ...any) error {
	return unavailableOrNil("configuring", q.eval(ctx, configureScript, []string{q.keys.Room}, fields...).Err())
}
