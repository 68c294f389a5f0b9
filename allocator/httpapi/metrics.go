package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// newRequestSeconds counts requests and their time. Routes are ours and classes are
// five, so nothing a client sends makes a new series. The map's routes are counted
// by what they cost instead: viewers.
func newRequestSeconds() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tickets_allocator_request_seconds", Help: "Time of requests, by route and class of status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
	}, []string{"route", "class"})
}

// timed is a handler with its time told.
func (a *api) timed(route string, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		begun, s := time.Now(), &statusWriter{ResponseWriter: w, status: http.StatusOK}
		finished := false
		defer func() {
			if !finished { // a panic: what is answered to it comes after us
				s.status = http.StatusInternalServerError
			}
			a.seconds.WithLabelValues(route, strconv.Itoa(s.status/100)+"xx").Observe(time.Since(begun).Seconds())
		}()
		serve(s, r)
		finished = true
	}
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
