// Package eventually lets tests wait for a condition instead of for a time.
package eventually

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what comes at once on an idle machine.
const Patience = 20 * time.Second

// Holds waits until a condition holds, and ends the test if it does not within Patience.
func Holds(t testing.TB, what string, holds func() bool) {
	t.Helper()
	Within(t, Patience, what, holds)
}

// Within is Holds with a patience of its own.
func Within(t testing.TB, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
