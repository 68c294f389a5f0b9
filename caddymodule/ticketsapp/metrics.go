package ticketsapp

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-tickets/caddy-tickets/internal/room"
)

// newRequestCounter makes the counter of what fans asked for. Its labels are
// closed sets but for the room, which is the operator's own.
func newRequestCounter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tickets_room_requests_total",
		Help: "Requests to a room, by action (page, enter, renew, join, status, stream, claim, leave, release, board, pass, bypass, invite, device, tier) and outcome.",
	}, []string{"room", "action", "outcome"})
}

// register adds what this package measures to the registry of this config. The
// numbers live in the rooms, so they go on over a reload.
func (a *App) register(r *prometheus.Registry) error {
	for _, c := range []prometheus.Collector{a.shared.requests, collector{a}} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("tickets: registering metrics: %w", err)
		}
	}
	return nil
}

// collector reads the rooms whenever the metrics are asked for.
type collector struct{ app *App }

// gauge is one number of a room.
type gauge struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*room.Room, *room.View) float64
}

func newGauge(name, help string, kind prometheus.ValueType, value func(*room.Room, *room.View) float64) gauge {
	return gauge{prometheus.NewDesc("tickets_room_"+name, help, []string{"room"}, nil), kind, value}
}

// gauges are read-only after the package is initialised.
var gauges = []gauge{
	newGauge("waiting", "Places in the queue, fleet-wide.", prometheus.GaugeValue,
		func(_ *room.Room, v *room.View) float64 { return float64(v.Waiting) }),
	newGauge("turns", "Admitted and not claimed yet, fleet-wide.", prometheus.GaugeValue,
		func(_ *room.Room, v *room.View) float64 { return float64(v.Turns) }),
	newGauge("active", "Passes in use, fleet-wide.", prometheus.GaugeValue,
		func(_ *room.Room, v *room.View) float64 { return float64(v.Active) }),
	newGauge("active_cap", "Most passes and turns at once.", prometheus.GaugeValue,
		func(_ *room.Room, v *room.View) float64 { return float64(v.Settings.Active) }),
	newGauge("rate_per_second", "Admissions per second that are set.", prometheus.GaugeValue,
		func(_ *room.Room, v *room.View) float64 {
			if v.Settings.Per <= 0 {
				return 0
			}
			return float64(v.Settings.Rate) / v.Settings.Per.Seconds()
		}),
	newGauge("admitted_total", "Places admitted, fleet-wide.", prometheus.CounterValue,
		func(_ *room.Room, v *room.View) float64 { return float64(v.AdmittedTotal) }),
	newGauge("no_shows_total", "Turns that nobody claimed in time, fleet-wide.", prometheus.CounterValue,
		func(_ *room.Room, v *room.View) float64 { return float64(v.NoShowsTotal) }),
	newGauge("degraded", "1 while Redis does not answer this edge.", prometheus.GaugeValue,
		func(_ *room.Room, v *room.View) float64 { return oneIf(v.Degraded) }),
	newGauge("edges", "Edges that have called for admission in the last seconds.", prometheus.GaugeValue,
		func(_ *room.Room, v *room.View) float64 { return float64(v.Edges) }),
	newGauge("edges_unwell", "Those of them that find the site behind the room unwell.", prometheus.GaugeValue,
		func(_ *room.Room, v *room.View) float64 { return float64(v.EdgesUnwell) }),
	newGauge("site_unwell", "1 while the site behind the room fails this edge's health check.", prometheus.GaugeValue,
		func(r *room.Room, _ *room.View) float64 { return oneIf(r.Site().Unwell) }),
	newGauge("settings_differ", "1 while another edge's config is in force and says otherwise.", prometheus.GaugeValue,
		func(r *room.Room, _ *room.View) float64 { return oneIf(len(r.Differences()) > 0) }),
	newGauge("parked", "Streams this edge keeps without a goroutine.", prometheus.GaugeValue,
		func(r *room.Room, _ *room.View) float64 { return float64(r.Hub().Parked) }),
	newGauge("streams", "Streams this edge keeps with a goroutine (HTTP/2, HTTP/3).", prometheus.GaugeValue,
		func(r *room.Room, _ *room.View) float64 { return float64(r.Hub().Streams) }),
	newGauge("lines_total", "Lines written to streams by this edge.", prometheus.CounterValue,
		func(r *room.Room, _ *room.View) float64 { return float64(r.Hub().Lines) }),
	newGauge("stuck_total", "Streams dropped because the client took no more bytes.", prometheus.CounterValue,
		func(r *room.Room, _ *room.View) float64 { return float64(r.Hub().Stuck) }),
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (collector) Describe(out chan<- *prometheus.Desc) {
	for _, g := range gauges {
		out <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, r := range c.app.list() {
		v := r.View()
		for _, g := range gauges {
			out <- prometheus.MustNewConstMetric(g.desc, g.kind, g.value(r, v), r.Name())
		}
	}
}
