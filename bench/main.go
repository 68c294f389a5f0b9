// Command bench measures what the project promises to be fast at, on servers of
// its own, and prints one line per figure:
//
//	name value unit target ok|MISS
//
// Each figure has a file of its own with its target beside it. Figures of one
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
	"syscall"
)

// figure is one number with the target it is held to.
type figure struct {
	name, unit string
	target     float64
	atMost     bool // the target is a ceiling; otherwise a floor
	measure    func(ctx context.Context, lab *lab) (float64, error)
}

// figures are run in this order.
var figures = []figure{gateRatio, parkedMemory, goroutineMemory, joinsOverHTTP, joinsInQueue, confirmedBookings}

func main() {
	binary := flag.String("binary", "bin/caddy-tickets", "the program under test")
	only := flag.String("only", ".", "measure the figures whose name matches this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *binary, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary, only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("reading -only: %w", err)
	}
	missed := 0
	for _, f := range figures {
		if !wanted.MatchString(f.name) {
			continue
		}
		value, err := measure(ctx, binary, f)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", f.name, err)
		}
		if !f.met(value) {
			missed++
		}
		fmt.Println(f.line(value))
	}
	if missed > 0 {
		return fmt.Errorf("%d figures missed their target", missed)
	}
	return nil
}

// measure gives every figure servers of its own, so that none pays for another.
func measure(ctx context.Context, binary string, f figure) (value float64, err error) {
	lab, err := newLab(binary)
	if err != nil {
		return 0, err
	}
	defer lab.close()
	return f.measure(ctx, lab)
}

func (f figure) met(value float64) bool {
	if f.atMost {
		return value <= f.target
	}
	return value >= f.target
}

func (f figure) line(value float64) string {
	verdict, bound := "ok", ">="
	if !f.met(value) {
		verdict = "MISS"
	}
	if f.atMost {
		bound = "<="
	}
	return fmt.Sprintf("%-28s %12.2f %-10s %s%-10.4g %s", f.name, value, f.unit, bound, f.target, verdict)
}
