package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

// figure is one number with the target it is held to.
type figure struct {
	name, unit string
	target     float64
	atMost     bool                                                 // the target is a ceiling; otherwise a floor
	measure    func(ctx context.Context, lab *lab) (float64, error) // nil if a study measures it with others
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

// study measures figures that share their servers.
type study struct {
	figures []figure
	measure func(ctx context.Context, lab *lab, out *report) error
}

// alone is the study of a figure that measures itself.
func alone(f figure) study {
	return study{[]figure{f}, func(ctx context.Context, lab *lab, out *report) error {
		value, err := f.measure(ctx, lab)
		if err == nil {
			out.set(f, value)
		}
		return err
	}}
}

func (s study) names() string {
	var names []string
	for _, f := range s.figures {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// report prints as it goes, so that an interrupted run has told what it knew.
type report struct {
	to     io.Writer
	missed int
}

// set prints the value of a figure.
func (r *report) set(f figure, value float64) {
	if !f.met(value) {
		r.missed++
	}
	_, _ = fmt.Fprintln(r.to, f.line(value)) // to a terminal
}

// note prints what belongs to the figures around it and has no target. Its lines
// begin with #, so that whoever reads figures by program can leave them out.
func (r *report) note(format string, args ...any) {
	_, _ = fmt.Fprintf(r.to, "# "+format+"\n", args...)
}

// loadAverage is that of the last minute: who reads a figure must know whether the
// machine was busy with something else.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
