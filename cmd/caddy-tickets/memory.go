package main

import "runtime/debug"

// edgeGC is how much an edge's heap may grow before Go collects it, in percent of what
// is in use. Most of an edge's heap are fans who wait, and what is free beside them is
// paid for with each: 9.8 KB of memory for one over TLS instead of 10.1 at Go's own 100,
// for about 6 % fewer joins a second (make bench-park; GOGC=75 make bench ONLY=joins-over).
const edgeGC = 75

// tuneMemory is for `run`, unless the environment says otherwise.
func tuneMemory(args []string, gogc string) {
	if percent, ours := gcPercent(args, gogc); ours {
		debug.SetGCPercent(percent)
	}
}

func gcPercent(args []string, gogc string) (percent int, ours bool) {
	return edgeGC, gogc == "" && len(args) > 1 && args[1] == "run"
}
