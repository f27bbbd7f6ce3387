package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics says, in a registry of the server's own, so that two
// servers in a program do not add up.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec   // by route and code
	duration *prometheus.HistogramVec // by route
	images   prometheus.Counter
	batches  prometheus.Histogram
}

func newMetrics(queued func() int) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "likeness_requests_total", Help: "Requests by route and status code; 499 is a client that did not wait.",
		}, []string{"route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "likeness_request_duration_seconds", Help: "Time from a request's header to the end of its answer, by route.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15), // 1 ms to 16 s
		}, []string{"route"}),
		images: prometheus.NewCounter(prometheus.CounterOpts{Name: "likeness_images_embedded_total", Help: "Images that went through the network."}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "likeness_batch_images", Help: "Images that were embedded together.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64},
		}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "likeness_queue_images", Help: "Images that wait to be embedded."},
		func() float64 { return float64(queued()) })
	m.registry.MustRegister(m.requests, m.duration, m.images, m.batches, waiting,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})) // of the whole program
	return m
}

func (m *metrics) request(route string, code int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(code)).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}

func (m *metrics) batch(images int) {
	m.images.Add(float64(images))
	m.batches.Observe(float64(images))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
