// Package clock is the seam through which this project tells the time, so that
// tests move it by hand instead of sleeping. It may be imported by everything.
package clock

import "time"

// Clock tells the time and wakes loops. All methods are safe for concurrent use.
type Clock interface {
	Now() time.Time
	// NewTicker fires every d, which must be positive. A slow reader misses
	// ticks; it is never sent a backlog.
	NewTicker(d time.Duration) Ticker
}

// Ticker is the part of time.Ticker that loops use.
type Ticker interface {
	C() <-chan time.Time
	Stop()
}

// System is the machine's own clock.
func System() Clock { return system{} }

type system struct{}

func (system) Now() time.Time { return time.Now() }

func (system) NewTicker(d time.Duration) Ticker { return systemTicker{time.NewTicker(d)} }

type systemTicker struct{ *time.Ticker }

func (t systemTicker) C() <-chan time.Time { return t.Ticker.C }
