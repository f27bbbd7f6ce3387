package serve

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/likeness-go/likeness/gallery"
	"github.com/pkg/errors"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// recorder notes the status code of an answer, and whether it could be sent.
type recorder struct {
	http.ResponseWriter
	code   int   // 0 until the header is written
	failed error // of the first write that failed
}

func (w *recorder) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	if w.failed == nil {
		w.failed = err
	}
	return n, err
}

// flush sends what net/http holds back, so that it is known whether that can be sent.
func (w *recorder) flush() {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if w.failed == nil && !errors.Is(err, http.ErrNotSupported) {
		w.failed = err
	}
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// watched is a handler that the server stands behind: errors are answered, a panic
// is one, and each request is counted and logged by its route, as a path may hold a
// class's name.
func (s *Server) watched(route string, handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, r *http.Request) {
		w, begun := &recorder{ResponseWriter: writer}, time.Now()
		id := rand.Text()[:12] // names a request in logs; nothing is computed from it
		harden(w.Header())
		w.Header().Set("X-Request-Id", id)
		err := caught(func() error { return handle(w, r) })
		if err != nil {
			s.refuse(w, err)
		}
		w.flush()
		code := w.code
		if w.failed != nil {
			code, err = clientGone, errors.Wrapf(w.failed, "the answer %d was not sent", w.code)
		}
		took := time.Since(begun)
		s.metrics.request(route, code, took)
		s.log(id, r.Method, route, code, took, err)
	})
}

// harden sets the headers that keep a browser from doing more with an answer than
// the page needs: it loads its own files, and pixels from nowhere.
func harden(header http.Header) {
	header.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
}

// caught makes an error of a panic.
func caught(do func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			if cause == http.ErrAbortHandler { // net/http's own way to end a request
				panic(cause)
			}
			err = errors.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return do()
}

// refuse answers an error, if nothing has been answered yet.
func (s *Server) refuse(w *recorder, err error) {
	if w.code != 0 {
		return
	}
	refusal := refusalOf(err)
	if after := refusal.retryAfter(); after != "" {
		w.Header().Set("Retry-After", after)
	}
	if refusal.code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="likeness"`)
	}
	text, _ := json.Marshal(failure{refusal.message}) // a string always has JSON
	writeJSON(w, refusal.code, text)
}

// failure is the answer to all that is refused.
type failure struct {
	Error string `json:"error"`
}

// answering is a handler whose answer is JSON.
func (s *Server) answering(do func(http.ResponseWriter, *http.Request) (any, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		answer, err := do(w, r)
		if err != nil {
			return err
		}
		var text bytes.Buffer // written when it is whole: a distance may have no JSON
		if err := json.NewEncoder(&text).Encode(answer); err != nil {
			return errors.Wrap(err, "answer")
		}
		if r.Context().Err() != nil { // nobody waits for it
			return context.Cause(r.Context())
		}
		writeJSON(w, http.StatusOK, text.Bytes())
		return nil
	}
}

// plain is a handler that answers by itself.
func plain(handler http.Handler) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		handler.ServeHTTP(w, r)
		return nil
	}
}

func writeJSON(w http.ResponseWriter, code int, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(code)
	_, _ = w.Write(text) // the client may have gone
}

func (s *Server) log(id, method, route string, code int, took time.Duration, err error) {
	attributes := []any{slog.String("request", id), slog.String("method", method), slog.String("route", route), slog.Int("code", code), slog.Duration("duration", took)}
	switch {
	case code == clientGone && err != nil:
		s.options.Logger.Warn("request", append(attributes, slog.String("error", err.Error()))...)
	case code >= http.StatusInternalServerError && err != nil:
		s.options.Logger.Error("request", append(attributes, slog.String("error", err.Error()))...)
	default:
		s.options.Logger.Info("request", attributes...)
	}
}

// refusal is an error that is the client's to know, with its status code.
type refusal struct {
	code    int
	message string
}

func (r *refusal) Error() string { return r.message }

func refuse(code int, format string, arguments ...any) error {
	return &refusal{code, fmt.Sprintf(format, arguments...)}
}

// errLate is the cause of the end of a request's context when its time is up, and
// errGone is that its client has left before all of it came or was answered.
var (
	errLate = errors.New("the time for a request is up")
	errGone = errors.New("the client has gone")
)

// clientGone is the code of requests whose client did not wait for an answer, in
// logs and metrics alone: nobody reads it. It is the one that nginx has for them.
const clientGone = 499

// refusalOf is what the client is told of an error. What is none of its business,
// such as the paths of the server's files, stays in the log.
func refusalOf(err error) *refusal {
	var known *refusal
	var body *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &body):
		return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("body: found more than %d bytes, which is the most that is taken", body.Limit)}
	case errors.Is(err, errGone), errors.Is(err, context.Canceled):
		return &refusal{clientGone, errGone.Error()}
	case errors.Is(err, errLate), errors.Is(err, context.DeadlineExceeded):
		return &refusal{http.StatusServiceUnavailable, errLate.Error() + ": send fewer or smaller images, or try again"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{http.StatusRequestTimeout, "body: it did not come within the time that there is for it"}
	case errors.Is(err, errCrowded):
		return &refusal{http.StatusServiceUnavailable, errCrowded.Error() + ": try again"}
	case errors.Is(err, errFull):
		return &refusal{http.StatusServiceUnavailable, "the queue is full: " + errFull.Error() + "; try again"}
	case errors.Is(err, errClosed), errors.Is(err, gallery.ErrClosed):
		return &refusal{http.StatusServiceUnavailable, errClosed.Error()}
	case errors.Is(err, gallery.ErrUnknownClass):
		return &refusal{http.StatusNotFound, "class: " + errors.Cause(err).Error()} // without the gallery's path
	case errors.Is(err, gallery.ErrClassName):
		return &refusal{http.StatusBadRequest, "class: " + errors.Cause(err).Error()}
	case errors.Is(err, gallery.ErrReadOnly):
		return &refusal{http.StatusConflict, "the gallery was opened for reading only"}
	}
	return &refusal{http.StatusInternalServerError, "the server failed: its log says more of this request"}
}

// retryAfter is in how many seconds it is worth to ask again; empty where it is
// not.
func (r *refusal) retryAfter() string {
	if r.code == http.StatusTooManyRequests || r.code == http.StatusServiceUnavailable {
		return "1"
	}
	return ""
}

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
