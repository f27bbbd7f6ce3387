package serve

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/heads"
	"github.com/pkg/errors"
)

// Server is an http.Handler that embeds, compares, enrols and identifies images.
// It may be used by many goroutines at once and is mounted at the root of a host
// or, with http.StripPrefix, below it.
type Server struct {
	model    *likeness.Model
	identity likeness.Identity
	distance heads.Distance
	options  Options

	handler  http.Handler
	access   access
	queue    *queue
	metrics  *metrics
	places   places        // one for each request under /v1 that is computed
	memory   *memory       // for the bodies of requests
	decoders chan struct{} // one for each image that is decoded
	decode   func(context.Context, imageFile) ([]uint8, error)
	closing  atomic.Bool
	close    sync.Once
}

// New makes a server of a model, which must stay as it is meanwhile. It is an error
// if a bound is negative, if the gallery is not open or was opened with another model,
// and if the model cannot embed an image or its weights lack what its head needs.
func New(model *likeness.Model, o Options) (*Server, error) {
	s, err := newServer(model, o)
	return s, errors.Wrap(err, "new server")
}

func newServer(model *likeness.Model, o Options) (s *Server, err error) {
	if model == nil || model.Backbone == nil || model.Head == nil || model.Weights == nil {
		return nil, errors.New("model: found none, or one without a backbone, a head or weights, expected one that likeness.Load or likeness.New made")
	}
	defer func() {
		if cause := recover(); cause != nil { // of a model that likeness did not make
			s, err = nil, errors.Errorf("the model cannot be used: %v", cause)
		}
	}()
	if o.Gallery != nil && o.Gallery.Model() == nil {
		return nil, errors.New("gallery: found one that is not open, expected one that gallery.Open or gallery.Create made")
	}
	s = &Server{model: model}
	if s.options, err = o.withDefaults(); err != nil {
		return nil, err
	}
	if s.identity, err = model.Identity(); err != nil {
		return nil, err
	}
	if s.distance, err = heads.DistanceOf(model.Head, model.Weights); err != nil {
		return nil, err
	}
	// Better now than in the first request.
	if _, err := model.EmbedPixels([][]uint8{make([]uint8, model.Preprocessing.Size.Len())}); err != nil {
		return nil, err
	}
	if o.Gallery != nil && o.Gallery.Model() != model {
		identity, err := o.Gallery.Model().Identity()
		if err != nil {
			return nil, err
		}
		if identity.Checksum != s.identity.Checksum {
			return nil, errors.Errorf("the gallery is of the model %v, the server of %v", identity, s.identity)
		}
	}
	s.access = newAccess(o.Token, o.Hosts)
	s.places = make(places, s.options.MaxConcurrent)
	s.memory = newMemory(s.options.MaxBufferedBytes)
	s.decoders = make(chan struct{}, runtime.GOMAXPROCS(0))
	s.decode = s.decodeAndPrepare
	s.queue = newQueue(model.EmbedPixels, s.options)
	s.metrics = newMetrics(s.queue.length)
	s.queue.embedded = s.metrics.batch
	s.handler = s.routes()
	go s.queue.run()
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case w == nil: // nobody can be told anything
	case s == nil || s.handler == nil:
		http.Error(w, `{"error":"the server was not made by serve.New"}`, http.StatusServiceUnavailable)
	case r == nil || r.URL == nil:
		http.Error(w, `{"error":"found no request"}`, http.StatusBadRequest)
	default:
		s.handler.ServeHTTP(w, r)
	}
}

// Close ends the server's goroutines after the images that wait are embedded.
// Afterwards requests get 503. It always returns nil.
func (s *Server) Close() error {
	if s == nil || s.queue == nil {
		return nil
	}
	s.closing.Store(true)
	s.close.Do(func() { // two that wait for all decoders would wait for each other
		s.queue.close()
		<-s.queue.done
		for range cap(s.decoders) { // until none of those that were there decodes any more
			s.decoders <- struct{}{}
		}
		for range cap(s.decoders) {
			<-s.decoders
		}
	})
	return nil
}
