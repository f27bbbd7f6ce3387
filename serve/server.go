package serve

import (
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
	closing  atomic.Bool
	close    sync.Once
}

// New makes a server of a model, which must stay as it is meanwhile. It is an error
// if a bound is negative, if the gallery was opened with another model, and if the
// weights lack what the model's head needs.
func New(model *likeness.Model, o Options) (*Server, error) {
	s, err := newServer(model, o)
	return s, errors.Wrap(err, "new server")
}

func newServer(model *likeness.Model, o Options) (s *Server, err error) {
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
	s.queue = newQueue(model.EmbedPixels, s.options)
	s.metrics = newMetrics(s.queue.length)
	s.queue.embedded = s.metrics.batch
	s.handler = s.routes()
	go s.queue.run()
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close ends the server's goroutine after the images that wait are embedded.
// Afterwards requests get 503. It always returns nil.
func (s *Server) Close() error {
	s.closing.Store(true)
	s.close.Do(s.queue.close)
	<-s.queue.done
	return nil
}
