package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// residentBytes is the memory of a process that is in RAM.
func residentBytes(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of the edge: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kilobytes * 1024, err
		}
	}
	return 0, errors.New("the kernel does not say how much memory the edge has")
}

// cpuTick is the unit in which the kernel tells a process's CPU time.
const cpuTick = 10 * time.Millisecond

// cpuTime is what a process has used so far, in user mode and in the kernel. On
// loopback the kernel's part has the receiver's half of TCP in it.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of the edge: %w", err)
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name before may have anything else in it
	fields := strings.Fields(after)
	const user, system = 11, 12 // fields 14 and 15 of the whole line
	if len(fields) <= system {
		return 0, errors.New("the kernel does not say how much CPU time the edge had")
	}
	ticks := 0
	for _, field := range fields[user : system+1] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("reading the CPU time of the edge: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * cpuTick, nil
}

const (
	// settledReadings without a fall by settledStep are the end of it: the runtime
	// gives memory back slowly, so as not to need it again.
	settledReadings = 6
	settledStep     = 256 << 10
)

// settled reads the memory until it has stopped falling. What joining used goes
// back with a collection, which comes by itself within two minutes; collect makes
// it come now.
func settled(ctx context.Context, pid int, collect func(context.Context) error) (float64, error) {
	lowest, err := residentBytes(pid)
	if err != nil {
		return 0, err
	}
	for since := 0; since < settledReadings; since++ {
		if err := collect(ctx); err != nil { // pools let go of what they keep at the second
			return 0, err
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return 0, err
		}
		now, err := residentBytes(pid)
		if err != nil {
			return 0, err
		}
		if now < lowest-settledStep {
			since = 0
		}
		lowest = min(lowest, now)
	}
	return lowest, nil
}

// collector asks for a collection through a profile, which has one before it: the
// edge's own admin API on its socket, or the same on another address.
func collector(network, address string) func(context.Context) error {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1/debug/pprof/heap?gc=1", nil)
		if err != nil {
			return fmt.Errorf("asking for a collection: %w", err)
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("asking for a collection: %w", err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("asking for a collection: %s", response.Status)
		}
		return nil
	}
}
