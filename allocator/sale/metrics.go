package sale

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-tickets/caddy-tickets/allocator"
)

// metrics of a sale. Every label is one of a closed set.
type metrics struct {
	holds, checkouts, recovered, tasks, webhooks *prometheus.CounterVec
	conflicts, rebuilds, swept, attention        prometheus.Counter
}

func newMetrics() *metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tickets_allocator_" + name, Help: help}, labels)
	}
	one := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "tickets_allocator_" + name, Help: help})
	}
	return &metrics{
		holds:     vec("holds_total", "Requests to hold cells, by outcome.", "outcome"),
		checkouts: vec("checkouts_total", "Checkouts, by the state that the booking was in at their end.", "state"),
		recovered: vec("recovered_total", "Bookings that stood still and were finished, by the state they came to.", "state"),
		tasks:     vec("tasks_total", "Tasks of the outbox, by kind and outcome.", "kind", "outcome"),
		webhooks:  vec("webhooks_total", "Webhooks of payment providers, by outcome.", "outcome"),
		conflicts: one("conflicts_total", "Claims that the database refused although the locks had given the cells."),
		rebuilds:  one("rebuilds_total", "Rebuilds of an event's locks from the database."),
		swept:     one("swept_total", "Holds that ended by time."),
		attention: one("attention_total", "Bookings whose money needs a person: sold and not to be had, or taken for nothing."),
	}
}

// Describe implements prometheus.Collector.
func (s *Sale) Describe(out chan<- *prometheus.Desc) {
	for _, c := range s.metrics.all() {
		c.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (s *Sale) Collect(out chan<- prometheus.Metric) {
	for _, c := range s.metrics.all() {
		c.Collect(out)
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.holds, m.checkouts, m.recovered, m.tasks, m.webhooks, m.conflicts, m.rebuilds, m.swept, m.attention}
}

// outcome names what came of a hold.
func outcome(err error) string {
	var conflict *allocator.ConflictError
	var short *allocator.AreaShortError
	switch {
	case err == nil:
		return "held"
	case errors.As(err, &conflict), errors.As(err, &short):
		return "taken"
	case errors.Is(err, allocator.ErrAllHeld):
		return "all-held"
	case errors.Is(err, allocator.ErrSoldOut):
		return "sold-out"
	case errors.Is(err, allocator.ErrHoldLimit):
		return "limit"
	case errors.Is(err, allocator.ErrUnavailable), errors.Is(err, allocator.ErrEpoch):
		return "unavailable"
	}
	return "refused"
}

var _ prometheus.Collector = (*Sale)(nil)
