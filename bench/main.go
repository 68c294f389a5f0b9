// Command bench measures what the project promises to be fast at, on servers of
// its own, and prints one line per figure:
//
//	name value unit target ok|MISS
//
// Lines that begin with # tell what belongs to them. Each figure has a file of its own with its target beside it. Figures of one
// machine do not compare with those of another; ratios do, which is why the gate
// is a ratio. It ends with status 1 if a figure missed its target.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"syscall"
)

// sets are what `make bench` measures, in this order, and `make bench-queue` and
// `make bench-park` each a part of.
var sets = []struct {
	name    string
	studies []study
}{
	{"edge", []study{alone(gateRatio), alone(joinsOverHTTP), alone(confirmedBookings)}},
	{"queue", []study{alone(joinsInQueue), fiveMillion, drawOfAMillion, redisWork}},
	{"park", []study{parkedPlain, parkedTLS}},
}

// part is what this program can be else, as a process of its own.
var part = map[string]func(args []string) error{"crowd": runFans, "handlers": runHandlers}

func main() {
	if len(os.Args) > 1 && part[os.Args[1]] != nil {
		if err := part[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	binary := flag.String("binary", "bin/caddy-tickets", "the program under test")
	set := flag.String("set", "", "measure this set: edge, queue or park; default all of them")
	only := flag.String("only", ".", "measure the studies that have a figure whose name matches this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *set, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, set, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("reading -only: %w", err)
	}
	out := &report{to: os.Stdout}
	for _, s := range sets {
		if set != "" && s.name != set {
			continue
		}
		for _, study := range s.studies {
			if !slices.ContainsFunc(study.figures, func(f figure) bool { return wanted.MatchString(f.name) }) {
				continue
			}
			out.note("%d CPUs, load average %s", runtime.NumCPU(), loadAverage())
			if err := measure(ctx, binary, study, out); err != nil {
				return fmt.Errorf("measuring %s: %w", study.names(), err)
			}
		}
	}
	if out.missed > 0 {
		return fmt.Errorf("%d figures missed their target", out.missed)
	}
	return nil
}

// measure gives every study servers of its own, so that none pays for another.
func measure(ctx context.Context, binary string, s study, out *report) error {
	lab, err := newLab(binary)
	if err != nil {
		return err
	}
	defer lab.close()
	return s.measure(ctx, lab, out)
}
