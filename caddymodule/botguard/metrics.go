package botguard

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-tickets/caddy-tickets/internal/velocity"
)

// metrics are the numbers of one state. All labels are closed sets but for the
// rule, which is the operator's own line; none is anything a client sends.
type metrics struct {
	decisions *prometheus.CounterVec // action, decision, mode
	issued    prometheus.Counter
	solved    *prometheus.CounterVec // proof
	failed    *prometheus.CounterVec // reason
	limited   *prometheus.CounterVec // rule, by
	limiter   []prometheus.Collector
}

func newMetrics(l *velocity.Limiter) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tickets_botguard_" + name, Help: help}, labels)
	}
	return &metrics{
		decisions: counter("decisions_total", "Joins and claims, by action, decision (passed, challenged, failed, throttled, cross-origin) and mode.", "action", "decision", "mode"),
		issued:    prometheus.NewCounter(prometheus.CounterOpts{Name: "tickets_botguard_challenges_issued_total", Help: "Challenges made."}),
		solved:    counter("challenges_solved_total", "Answers that hold, by proof: solved, or waited without JavaScript.", "proof"),
		failed:    counter("challenges_failed_total", "Answers that do not hold, by reason.", "reason"),
		limited:   counter("velocity_limited_total", "Requests above a limit, by rule and by who counted: this process or the fleet.", "rule", "by"),
		limiter: []prometheus.Collector{
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tickets_botguard_velocity_keys", Help: "Keys that this process counts."},
				func() float64 { return float64(l.Stats().Keys) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "tickets_botguard_redis_errors_total", Help: "Counts that Redis did not take."},
				func() float64 { return float64(l.Stats().RedisErrors) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tickets_botguard_breaker_open", Help: "1 while Redis is left alone after failures, and limits hold for each edge by itself."},
				func() float64 {
					if l.Stats().BreakerOpen {
						return 1
					}
					return 0
				}),
		},
	}
}

// register adds the metrics to the registry of a config, once for all its
// handlers. The numbers go on over a reload.
func (m *metrics) register(r *prometheus.Registry) error {
	for _, c := range append([]prometheus.Collector{m.decisions, m.issued, m.solved, m.failed, m.limited}, m.limiter...) {
		var already prometheus.AlreadyRegisteredError
		if err := r.Register(c); err != nil && !errors.As(err, &already) {
			return fmt.Errorf("botguard: registering metrics: %w", err)
		}
	}
	return nil
}
