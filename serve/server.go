package serve

import (
	"context"
	"log/slog"
	"math"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/likeness-go/likeness"
	"github.com/likeness-go/likeness/gallery"
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

// ErrNoToken says that a server without a token was to listen beyond loopback.
var ErrNoToken = errors.New("beyond the loopback interface a token is needed")

// headerTimeout is how long a client may take for a request's header, and
// maxHeaderBytes how long that may be.
const (
	headerTimeout  = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

// Serve answers requests until the context ends. Then it accepts no more, finishes
// those that it has within Options.ShutdownTimeout, and closes the server and the
// listener. It returns nil when all were finished.
//
// The error is ErrNoToken, wrapped, where the listener is not of the loopback
// interface and the server has no token.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	if ctx == nil || listener == nil {
		return errors.New("serve: found no context or no listener, expected both")
	}
	if s == nil || s.handler == nil {
		_ = listener.Close()
		return errors.New("serve: the server was not made by serve.New")
	}
	defer s.Close()
	if !s.access.has && !onLoopback(listener.Addr()) {
		_ = listener.Close()
		return errors.Wrapf(ErrNoToken, "serve at %v", listener.Addr())
	}
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: min(headerTimeout, s.options.ReadTimeout), MaxHeaderBytes: maxHeaderBytes,
		ReadTimeout: min(s.options.ReadTimeout, s.options.RequestTimeout), WriteTimeout: s.options.WriteTimeout, IdleTimeout: s.options.IdleTimeout,
		ErrorLog: slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return errors.Wrap(err, "serve")
	case <-ctx.Done():
		s.closing.Store(true)
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.ShutdownTimeout)
	defer cancel()
	err := server.Shutdown(bounded)
	if err != nil {
		_ = server.Close() // those that are not done are cut off
	}
	<-failed
	return errors.Wrapf(err, "serve: requests were not done within %v", s.options.ShutdownTimeout)
}

// onLoopback says whether nobody but this machine reaches an address.
func onLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// Options says what a server serves beside its model, to whom, and how much of it.
// The zero value is useful. Zero means the default of a bound; a negative one is
// an error but where a field says otherwise.
type Options struct {
	// Gallery is enrolled in and asked; without one these routes answer 409. It
	// must be of the server's model, and Close does not close it.
	Gallery *gallery.Gallery
	// Token is what requests must carry as "Authorization: Bearer TOKEN". Empty
	// asks for none and answers loopback names alone.
	Token string
	// Hosts are further names or addresses, without ports, by which the server may
	// be called without a token: for a program that has a guard of its own.
	Hosts []string
	// Logger is told of each request, its route and not its path, and neither
	// images nor tokens. Nil is silent.
	Logger *slog.Logger

	MaxBodyBytes int64 // of a request's body; 16 MiB
	MaxImages    int   // of a request; 32
	MaxPixels    int   // width × height of an image, before it is decoded; 16,777,216 (4096 × 4096)
	// MaxRequestPixels is how many pixels all images of a request may have, before any
	// is decoded; requests beyond it get 413. Four times MaxPixels, 67,108,864; at least
	// MaxPixels. Images that take longer to decode count for more: pixels of 16 bits a
	// channel twice, each tile or strip of a TIFF as 2048 at least, each scan of a
	// progressive JPEG as an eighth of its image.
	MaxRequestPixels int
	MaxConcurrent    int // requests under /v1 that are computed at a time; others get 429; 64
	// MaxBufferedBytes is how much the bodies of all requests may take at a time;
	// requests beyond it get 503. 256 MiB; at least MaxBodyBytes.
	MaxBufferedBytes int64

	// BatchSize is how many images are embedded together; 8. The model computes 1,
	// 8 or 64 images at a time and pads what lies between.
	BatchSize int
	// BatchWait is how long an image waits for others to fill the batch; 2 ms.
	// Negative is not at all.
	BatchWait time.Duration
	// QueueSize is how many images may wait; requests beyond it get 503. 256; at
	// least MaxImages, so that every request fits an empty queue.
	QueueSize int

	// RequestTimeout is how long a request under /v1 may take, from the end of its header
	// until its answer is ready; then it gets 503 and its work ends. 45 s, or 15 s more
	// than a ReadTimeout that is given, and three quarters of a WriteTimeout that is
	// given; less than WriteTimeout, so that there is time to send the answer.
	RequestTimeout  time.Duration
	ReadTimeout     time.Duration // of a whole request, and of its header, which has 10 s at most; 30 s, RequestTimeout at most
	WriteTimeout    time.Duration // from the end of a request's header to that of the answer; 60 s, or 15 s more than a RequestTimeout that is given
	IdleTimeout     time.Duration // between the requests of a connection; 120 s
	ShutdownTimeout time.Duration // for what was accepted, when Serve is to end; 15 s
}

// withDefaults fills in the bounds that are zero.
func (o Options) withDefaults() (Options, error) {
	var first error
	check := func(err error) {
		if first == nil {
			first = err
		}
	}
	check(bound("MaxBodyBytes", &o.MaxBodyBytes, 16<<20))
	check(bound("MaxImages", &o.MaxImages, 32))
	check(bound("MaxPixels", &o.MaxPixels, 1<<24))
	check(bound("MaxRequestPixels", &o.MaxRequestPixels, max(o.MaxPixels, 4*min(o.MaxPixels, math.MaxInt/4))))
	check(bound("MaxConcurrent", &o.MaxConcurrent, 64))
	check(bound("MaxBufferedBytes", &o.MaxBufferedBytes, max(256<<20, o.MaxBodyBytes)))
	check(bound("BatchSize", &o.BatchSize, 8))
	check(bound("QueueSize", &o.QueueSize, 256))
	check(bound("RequestTimeout", &o.RequestTimeout, o.requestTimeout()))
	check(bound("ReadTimeout", &o.ReadTimeout, 30*time.Second))
	check(bound("WriteTimeout", &o.WriteTimeout, max(60*time.Second, o.RequestTimeout+15*time.Second)))
	check(bound("IdleTimeout", &o.IdleTimeout, 120*time.Second))
	check(bound("ShutdownTimeout", &o.ShutdownTimeout, 15*time.Second))
	if first != nil {
		return o, first
	}
	if o.BatchWait == 0 {
		o.BatchWait = 2 * time.Millisecond
	}
	if o.QueueSize < o.MaxImages {
		return o, errors.Errorf("QueueSize is %d, expected at least MaxImages, %d: a request of so many would never fit", o.QueueSize, o.MaxImages)
	}
	if o.MaxRequestPixels < o.MaxPixels {
		return o, errors.Errorf("MaxRequestPixels is %d, expected at least MaxPixels, %d: an image of so many would never fit", o.MaxRequestPixels, o.MaxPixels)
	}
	if o.WriteTimeout <= o.RequestTimeout {
		return o, errors.Errorf("WriteTimeout is %v, expected more than RequestTimeout, %v: there would be no time to send an answer", o.WriteTimeout, o.RequestTimeout)
	}
	if o.MaxBufferedBytes < o.MaxBodyBytes {
		return o, errors.Errorf("MaxBufferedBytes is %d, expected at least MaxBodyBytes, %d: a request of so many would never fit", o.MaxBufferedBytes, o.MaxBodyBytes)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// requestTimeout is the default of RequestTimeout, by the other bounds that are given.
func (o Options) requestTimeout() time.Duration {
	if o.WriteTimeout > 0 {
		return o.WriteTimeout - o.WriteTimeout/4
	}
	return max(45*time.Second, o.ReadTimeout+15*time.Second)
}

// bound puts the default in the place of a zero.
func bound[T int | int64 | time.Duration](name string, value *T, usual T) error {
	if *value < 0 {
		return errors.Errorf("%s is %v, expected a positive one, or 0 for %v", name, *value, usual)
	}
	if *value == 0 {
		*value = usual
	}
	return nil
}
