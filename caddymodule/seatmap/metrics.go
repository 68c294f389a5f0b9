package seatmap

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-tickets/caddy-tickets/internal/mapfan"
)

// figures are what is shown of each allocator's maps.
var figures = []struct {
	name, help string
	counter    bool
	of         func(mapfan.EdgeStats) float64
}{
	{"tickets_seatmap_viewers", "Open streams of live maps at this edge.", false,
		func(s mapfan.EdgeStats) float64 { return float64(s.Viewers) }},
	{"tickets_seatmap_events", "Events whose map this edge follows.", false,
		func(s mapfan.EdgeStats) float64 { return float64(s.Events) }},
	{"tickets_seatmap_connections", "Connections to the allocator; less than events means that maps are not refreshed.", false,
		func(s mapfan.EdgeStats) float64 { return float64(s.Connected) }},
	{"tickets_seatmap_reconnects_total", "Connections to the allocator that were lost or could not be made.", true,
		func(s mapfan.EdgeStats) float64 { return float64(s.Reconnects) }},
	{"tickets_seatmap_refused_viewers_total", "Viewers told to poll because the streams of their event were full.", true,
		func(s mapfan.EdgeStats) float64 { return float64(s.Refused) }},
	{"tickets_seatmap_slow_viewers_total", "Streams ended because their viewer did not keep up.", true,
		func(s mapfan.EdgeStats) float64 { return float64(s.Slow) }},
}

// register shows the figures in a config's registry. Several handlers of one
// allocator are one.
func register(r *prometheus.Registry, upstream string, maps *mapfan.Followers) error {
	for _, f := range figures {
		labels := prometheus.Labels{"upstream": upstream}
		value := func() float64 { return f.of(maps.Stats()) }
		var c prometheus.Collector
		if f.counter {
			c = prometheus.NewCounterFunc(prometheus.CounterOpts{Name: f.name, Help: f.help, ConstLabels: labels}, value)
		} else {
			c = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: f.name, Help: f.help, ConstLabels: labels}, value)
		}
		var known prometheus.AlreadyRegisteredError
		if err := r.Register(c); err != nil && !errors.As(err, &known) {
			return fmt.Errorf("seatmap: registering metrics: %w", err)
		}
	}
	return nil
}
