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
	"strconv"
	"time"

	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// recorder records the status code of an answer and whether it could be sent.
type recorder struct {
	http.ResponseWriter
	code   int   // 0 until the header is written
	failed error // error of the first failed write
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

// flush sends the buffered part of the answer, to detect whether it can be sent.
func (w *recorder) flush() {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if w.failed == nil && !errors.Is(err, http.ErrNotSupported) {
		w.failed = err
	}
}

// Unwrap is used by http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// watched wraps a handler: it answers errors and panics, and counts and logs each request
// by its route, because a path may contain the name of a class.
func (s *Server) watched(route string, handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, r *http.Request) {
		w, begun := &recorder{ResponseWriter: writer}, time.Now()
		id := rand.Text()[:12] // identifies a request in logs; no result depends on it
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

// harden sets the headers that restrict what a browser may do with an answer to what the
// page needs.
func harden(header http.Header) {
	header.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
}

// caught returns a panic as an error, except http.ErrAbortHandler.
func caught(do func() error) (err error) {
	err = func() (err error) {
		defer guard.Recover(&err, "")
		return do()
	}()
	if p, ok := err.(*guard.Panic); ok && p.Value == http.ErrAbortHandler { // ends a request in net/http
		panic(p.Value)
	}
	return err
}

// refuse answers with an error, unless an answer has been begun.
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
	text, _ := json.Marshal(failure{refusal.message}) // marshaling a string cannot fail
	writeJSON(w, refusal.code, text)
}

// failure is the answer to every request with an error.
type failure struct {
	Error string `json:"error"`
}

// answering returns a handler that answers in JSON.
func (s *Server) answering(do func(http.ResponseWriter, *http.Request) (any, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		answer, err := do(w, r)
		if err != nil {
			return err
		}
		var text bytes.Buffer // sent when it is complete, because encoding fails for NaN
		if err := json.NewEncoder(&text).Encode(answer); err != nil {
			return errors.Wrap(err, "answer")
		}
		if r.Context().Err() != nil { // the client has disconnected or the time is up
			return context.Cause(r.Context())
		}
		writeJSON(w, http.StatusOK, text.Bytes())
		return nil
	}
}

// plain adapts a handler that writes its own answer.
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
	_, _ = w.Write(text) // the client may have disconnected
}

func (s *Server) log(id, method, route string, code int, took time.Duration, err error) {
	attributes := []any{slog.String("request", id), slog.String("method", method), slog.String("route", route), slog.Int("code", code), slog.Duration("duration", took)}
	var recovered *guard.Panic
	if errors.As(err, &recovered) {
		attributes = append(attributes, slog.String("stack", string(recovered.Stack)))
	}
	switch {
	case code == clientGone && err != nil:
		s.options.Logger.Warn("request", append(attributes, slog.String("error", err.Error()))...)
	case code >= http.StatusInternalServerError && err != nil:
		s.options.Logger.Error("request", append(attributes, slog.String("error", err.Error()))...)
	default:
		s.options.Logger.Info("request", attributes...)
	}
}

// refusal is an error that is sent to the client, with its status code.
type refusal struct {
	code    int
	message string
}

func (r *refusal) Error() string { return r.message }

func refuse(code int, format string, arguments ...any) error {
	return &refusal{code, fmt.Sprintf(format, arguments...)}
}

// errLate is the cause of the end of a request's context after RequestTimeout, and errGone
// that of a request whose client disconnected before it was sent or answered completely.
var (
	errLate = errors.New("the time limit of a request is exceeded")
	errGone = errors.New("the client has disconnected")
)

// clientGone is the code of requests whose client disconnected, in logs and metrics. It is
// the code that nginx uses.
const clientGone = 499

// refusalOf returns the answer to an error. Details that a client must not learn, such as
// paths on the server, are only logged.
func refusalOf(err error) *refusal {
	var known *refusal
	var body *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &body):
		return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("body: found more bytes than the maximum of %d", body.Limit)}
	case errors.Is(err, errGone), errors.Is(err, context.Canceled):
		return &refusal{clientGone, errGone.Error()}
	case errors.Is(err, gallery.ErrUnavailable):
		return &refusal{http.StatusServiceUnavailable, "gallery: " + gallery.ErrUnavailable.Error() + ": try again"}
	case errors.Is(err, errLate), errors.Is(err, context.DeadlineExceeded):
		return &refusal{http.StatusServiceUnavailable, errLate.Error() + ": send fewer or smaller images, or try again"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &refusal{http.StatusRequestTimeout, "body: it was not received within the time limit"}
	case errors.Is(err, errMemory):
		return &refusal{http.StatusServiceUnavailable, errMemory.Error() + ": try again"}
	case errors.Is(err, errFull):
		return &refusal{http.StatusServiceUnavailable, "the queue is full: " + errFull.Error() + "; try again"}
	case errors.Is(err, errClosed), errors.Is(err, gallery.ErrClosed):
		return &refusal{http.StatusServiceUnavailable, errClosed.Error()}
	case errors.Is(err, gallery.ErrUnknownClass):
		return &refusal{http.StatusNotFound, "class: " + errors.Cause(err).Error()} // without the gallery's path
	case errors.Is(err, gallery.ErrClassName):
		return &refusal{http.StatusBadRequest, "class: " + errors.Cause(err).Error()}
	case errors.Is(err, gallery.ErrRequestID):
		return &refusal{http.StatusUnprocessableEntity, "Idempotency-Key: expected up to 200 visible ASCII characters that no enrollment in another class or of another number of images has used"}
	case errors.Is(err, gallery.ErrReadOnly):
		return &refusal{http.StatusConflict, "the gallery was opened read-only"}
	}
	return &refusal{http.StatusInternalServerError, "internal error: see the server's log for this request"}
}

// retryAfter is the value of the header Retry-After in seconds; empty if retrying is
// pointless.
func (r *refusal) retryAfter() string {
	if r.code == http.StatusTooManyRequests || r.code == http.StatusServiceUnavailable {
		return "1"
	}
	return ""
}

// metrics are the metrics of /metrics. Each server has a registry of its own, so that
// those of two servers in a program are separate.
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
			Name: "likeness_requests_total", Help: "Requests by route and status code; 499: the client disconnected.",
		}, []string{"route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "likeness_request_duration_seconds", Help: "Time from a request's header to the end of its answer, by route.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15), // 1 ms to 16 s
		}, []string{"route"}),
		images: prometheus.NewCounter(prometheus.CounterOpts{Name: "likeness_images_embedded_total", Help: "Images that the network embedded."}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "likeness_batch_images", Help: "Images per batch.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64},
		}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "likeness_queue_images", Help: "Images that are waiting to be embedded."},
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
