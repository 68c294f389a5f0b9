package velocity

import (
	"sync"
	"time"
)

const (
	// tolerated is how many calls in a row may fail before Redis is left alone. One
	// lost connection is no outage.
	tolerated = 3
	// pause is how long it is left alone before a single call tries again. At a
	// Redis that hangs, one caller a second waits Patience, and nobody else.
	pause = time.Second
)

// breaker keeps callers from waiting for a Redis that is known to be away. Its
// zero value is closed.
type breaker struct {
	mu       sync.Mutex
	failures int       // in a row
	until    time.Time // nobody calls before; zero while closed
	probing  bool      // one call is trying
}

// change is what a call did to the breaker.
type change uint8

const (
	unchanged change = iota
	opened
	closed
)

// enter says whether to call; whoever is let in must leave.
func (b *breaker) enter(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return true
	}
	if now.Before(b.until) || b.probing {
		return false
	}
	b.probing = true
	return true
}

// leave says how the call went. Calls that were under way when the breaker
// opened are heard too.
func (b *breaker) leave(now time.Time, well bool) change {
	b.mu.Lock()
	defer b.mu.Unlock()
	wasOpen := !b.until.IsZero()
	b.probing = false
	if well {
		b.failures, b.until = 0, time.Time{}
		if wasOpen {
			return closed
		}
		return unchanged
	}
	if b.failures++; b.failures < tolerated {
		return unchanged
	}
	b.until = now.Add(pause)
	if wasOpen {
		return unchanged
	}
	return opened
}

func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.until.IsZero()
}
