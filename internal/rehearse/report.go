package rehearse

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// Steps of a fan's way, in order, as named in reports. Challenge is the fan's
// own work; the others are the time until the server's answer.
var Steps = []string{"page", "challenge", "join", "wait", "claim", "map", "hold", "checkout"}

// Report is what happened. It is complete when every fan is counted in Booked or Refused.
type Report struct {
	Fans     int
	Joined   int
	Admitted int
	Held     int            // fans who held seats, whatever came of it
	Booked   int            // fans with a booking
	Tickets  int            // cells in those bookings
	Refused  map[string]int // by the code of the problem, or a word of our own
	// Violations are promises that were broken, as seen from outside.
	Violations []string
	Steps      map[string]Quantiles
	Took       time.Duration
}

// Quantiles describe one step over all fans who took it.
type Quantiles struct {
	Count    int
	P50, P99 time.Duration
}

// Progress is a Report's counters while fans are still under way.
type Progress struct{ Fans, Joined, Admitted, Held, Booked, Done int }

// outcome is how a fan ended: booked with cells, or refused with a code.
type outcome struct {
	cells []string
	code  string
}

type tally struct {
	mu         sync.Mutex
	joined     int
	admitted   int
	held       int
	booked     int
	done       int
	refused    map[string]int
	owner      map[string]int
	violations []string
	steps      map[string][]time.Duration
}

func newTally() *tally {
	return &tally{refused: map[string]int{}, owner: map[string]int{}, steps: map[string][]time.Duration{}}
}

func (t *tally) took(step string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps[step] = append(t.steps[step], d)
}

func (t *tally) count(counter *int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*counter++
}

func (t *tally) violation(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.violations = append(t.violations, fmt.Sprintf(format, args...))
}

func (t *tally) end(o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done++
	if o.code != "" {
		t.refused[o.code]++
		return
	}
	t.booked++
	for _, cell := range o.cells {
		if t.owner[cell]++; t.owner[cell] == 2 {
			t.violations = append(t.violations, fmt.Sprintf("cell %s was sold to two fans", cell))
		}
	}
}

// watch calls progress once a second until the returned function is called,
// and once more then.
func (t *tally) watch(fans int, progress func(Progress)) (stop func()) {
	if progress == nil {
		return func() {}
	}
	show := func() {
		t.mu.Lock()
		p := Progress{fans, t.joined, t.admitted, t.held, t.booked, t.done}
		t.mu.Unlock()
		progress(p)
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				show()
			case <-done:
				show()
				return
			}
		}
	}()
	return func() { close(done); <-gone }
}

func (t *tally) report(fans int, took time.Duration) *Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &Report{
		Fans: fans, Joined: t.joined, Admitted: t.admitted, Held: t.held, Booked: t.booked,
		Tickets: len(t.owner), Refused: maps.Clone(t.refused), Violations: slices.Clone(t.violations),
		Steps: make(map[string]Quantiles, len(t.steps)), Took: took,
	}
	if never := fans - t.done; never > 0 {
		r.Refused["never-came"] += never
	}
	if n := unanswered(r.Refused); n > 0 {
		r.Violations = append(r.Violations, fmt.Sprintf("%d of %d fans got no answer", n, fans))
	}
	for step, all := range t.steps {
		slices.Sort(all)
		r.Steps[step] = Quantiles{len(all), quantile(all, 0.50), quantile(all, 0.99)}
	}
	return r
}

// unanswered counts the fans whom nobody told anything that ends a visit.
func unanswered(refused map[string]int) (n int) {
	for _, code := range []string{"never-came", deadline, noAnswer, odd} {
		n += refused[code]
	}
	return n
}

// quantile is the nearest-rank quantile of sorted values.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// WriteTable prints the report for a person.
func (r *Report) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "fans\tjoined\tadmitted\theld\tbooked\ttickets\trefused\ttook\t")
	refused := 0
	for _, n := range r.Refused {
		refused += n
	}
	fmt.Fprintf(tw, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n",
		r.Fans, r.Joined, r.Admitted, r.Held, r.Booked, r.Tickets, refused, r.Took.Round(100*time.Millisecond))
	fmt.Fprintln(tw)
	fmt.Fprintln(tw, "step\tfans\tp50\tp99\t")
	for _, step := range Steps {
		if q, ok := r.Steps[step]; ok {
			fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t\n", step, q.Count, round(q.P50), round(q.P99))
		}
	}
	if len(r.Refused) > 0 {
		fmt.Fprintln(tw)
		fmt.Fprintln(tw, "refused with\tfans\t")
		for _, code := range slices.Sorted(maps.Keys(r.Refused)) {
			fmt.Fprintf(tw, "%s\t%d\t\n", code, r.Refused[code])
		}
	}
	for _, v := range r.Violations {
		fmt.Fprintln(tw, "VIOLATION: "+v)
	}
	return tw.Flush()
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
