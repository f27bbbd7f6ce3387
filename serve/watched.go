package serve

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/pkg/errors"
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
