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
	"github.com/likeness-go/likeness/explain"
	"github.com/likeness-go/likeness/gallery"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
)

// Server is an http.Handler that embeds, compares, enrolls and identifies images. It is
// safe for concurrent use and can be mounted at the root of a host or, with
// http.StripPrefix, below a path.
type Server struct {
	model    *likeness.Model
	identity likeness.Identity
	distance heads.Distance
	options  Options

	handler  http.Handler
	access   access
	queue    *queue
	metrics  *metrics
	slots    slots         // one for each request under /v1 that is being computed
	memory   *memory       // limits the bodies of requests
	decoders chan struct{} // one element for each image that is being decoded
	decode   func(context.Context, imageFile) (preparedImage, error)
	closing  atomic.Bool
	// explainer is made when it is first needed, since it has a graph of its own.
	explainer func() (*explain.Explainer, error)
	close     sync.Once
}

// New returns a server of a model, which must not be changed while the server is in use.
// It is an error if a limit is negative, if the gallery is not open or was opened with
// another model, if the model cannot embed an image, or if its weights lack those of its
// head.
func New(model *likeness.Model, o Options) (*Server, error) {
	s, err := newServer(model, o)
	return s, errors.Wrap(err, "new server")
}

func newServer(model *likeness.Model, o Options) (s *Server, err error) {
	if model == nil || model.Backbone == nil || model.Head == nil || model.Weights == nil {
		return nil, errors.New("model: found none or one without a backbone, a head or weights, expected a model of likeness.Load or likeness.New")
	}
	defer guard.Recover(&err, "the model cannot be used") // a model of another package may panic
	if o.Gallery != nil && o.Gallery.Model() == nil {
		return nil, errors.New("gallery: found one that is not open, expected a gallery of gallery.Open or gallery.Create")
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
	// Find errors of the model here and not in the first request.
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
	s.slots = make(slots, s.options.MaxConcurrent)
	s.memory = newMemory(s.options.MaxBufferedBytes)
	s.decoders = make(chan struct{}, runtime.GOMAXPROCS(0))
	s.decode = s.decodeAndPrepare
	s.explainer = sync.OnceValues(func() (*explain.Explainer, error) { return explain.New(model) })
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
	case w == nil: // there is no way to answer
	case s == nil || s.handler == nil:
		http.Error(w, `{"error":"the server was not made by serve.New"}`, http.StatusServiceUnavailable)
	case r == nil || r.URL == nil:
		http.Error(w, `{"error":"found no request"}`, http.StatusBadRequest)
	default:
		s.handler.ServeHTTP(w, r)
	}
}

// Close ends the server's goroutines after the waiting images have been embedded. Later
// requests get 503. It always returns nil.
func (s *Server) Close() error {
	if s == nil || s.queue == nil {
		return nil
	}
	s.closing.Store(true)
	s.close.Do(func() { // once, because two concurrent calls would deadlock on the decoders
		s.queue.close()
		<-s.queue.done
		for range cap(s.decoders) { // wait until no image is being decoded
			s.decoders <- struct{}{}
		}
		for range cap(s.decoders) {
			<-s.decoders
		}
	})
	return nil
}

// ErrNoToken is the error of a server without a token that is to listen on another
// interface than loopback.
var ErrNoToken = errors.New("a token is required on other interfaces than loopback")

// Limits of the time and the size of a request's header.
const (
	headerTimeout  = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

// Serve answers requests until the context ends. It then accepts no more requests, finishes
// the pending ones within Options.ShutdownTimeout, and closes the server and the listener.
// It returns nil if all requests were finished.
//
// The error wraps ErrNoToken if the server has no token and the listener is not on the
// loopback interface.
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
		_ = server.Close() // closes the connections of unfinished requests
	}
	<-failed
	return errors.Wrapf(err, "serve: requests were not finished within %v", s.options.ShutdownTimeout)
}

// onLoopback reports whether only this machine can reach an address.
func onLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// Options sets the gallery, the access and the limits of a server. The zero value is
// useful: a limit of zero is replaced by its default. A negative limit is an error, unless
// the field says otherwise.
type Options struct {
	// Gallery is the gallery of the routes that enroll and identify; without one they
	// answer 409. It must have been opened with the server's model. Close does not close it.
	Gallery *gallery.Gallery
	// Token must be sent by requests as "Authorization: Bearer TOKEN". If it is empty, no
	// token is required and only requests to names of the loopback interface are answered.
	Token string
	// Hosts are additional host names or addresses, without ports, to which requests are
	// allowed without a token, for a program that controls access itself.
	Hosts []string
	// Logger logs each request with its route, but without its path, images and tokens.
	// Nil logs nothing.
	Logger *slog.Logger

	MaxBodyBytes int64 // maximum size of a request's body; default 16 MiB
	MaxImages    int   // maximum number of images in a request; default 32
	MaxPixels    int   // maximum width × height of an image, checked before decoding; default 4096² = 16,777,216
	// MaxRequestPixels is the maximum number of pixels of all images of a request, checked
	// before decoding; requests above it get 413. Default 4·MaxPixels; at least MaxPixels.
	// Images that take longer to decode count for more: 16 bits per channel count twice,
	// each tile or strip of a TIFF counts as at least 2048 pixels, and each scan of a
	// progressive JPEG as an eighth of the image.
	MaxRequestPixels int
	MaxConcurrent    int // maximum number of requests under /v1 computed concurrently; others get 429; default 64
	// MaxBufferedBytes is the maximum total size of the bodies of all requests; requests
	// above it get 503. Default 256 MiB; at least MaxBodyBytes.
	MaxBufferedBytes int64

	// BatchSize is the maximum number of images embedded in a batch; default 8. The model
	// computes 1, 8 or 64 images at a time and pads other numbers.
	BatchSize int
	// BatchWait is the maximum time that an image waits for others to fill the batch;
	// default 2 ms. A negative value means no waiting.
	BatchWait time.Duration
	// QueueSize is the maximum number of waiting images; requests above it get 503.
	// Default 256; at least MaxImages, so that every request fits into an empty queue.
	QueueSize int

	// RequestTimeout is the maximum time of a request under /v1 from the end of its header
	// until its answer is ready; then its work ends and it gets 503. Default: three quarters
	// of WriteTimeout if that is set, else ReadTimeout + 15 s and at least 45 s. It must be
	// less than WriteTimeout, so that there is time to send the answer.
	RequestTimeout  time.Duration
	ReadTimeout     time.Duration // maximum time to read a request, of which its header may take 10 s; default 30 s; at most RequestTimeout is used
	WriteTimeout    time.Duration // maximum time from the end of a request's header to the end of the answer; default RequestTimeout + 15 s and at least 60 s
	IdleTimeout     time.Duration // maximum time between the requests of a connection; default 120 s
	ShutdownTimeout time.Duration // maximum time for pending requests when Serve ends; default 15 s
}

// withDefaults replaces limits of zero by their defaults.
func (o Options) withDefaults() (Options, error) {
	var first error
	check := func(err error) {
		if first == nil {
			first = err
		}
	}
	check(limit("MaxBodyBytes", &o.MaxBodyBytes, 16<<20))
	check(limit("MaxImages", &o.MaxImages, 32))
	check(limit("MaxPixels", &o.MaxPixels, 1<<24))
	check(limit("MaxRequestPixels", &o.MaxRequestPixels, max(o.MaxPixels, 4*min(o.MaxPixels, math.MaxInt/4))))
	check(limit("MaxConcurrent", &o.MaxConcurrent, 64))
	check(limit("MaxBufferedBytes", &o.MaxBufferedBytes, max(256<<20, o.MaxBodyBytes)))
	check(limit("BatchSize", &o.BatchSize, 8))
	check(limit("QueueSize", &o.QueueSize, 256))
	check(limit("RequestTimeout", &o.RequestTimeout, o.requestTimeout()))
	check(limit("ReadTimeout", &o.ReadTimeout, 30*time.Second))
	check(limit("WriteTimeout", &o.WriteTimeout, max(60*time.Second, o.RequestTimeout+15*time.Second)))
	check(limit("IdleTimeout", &o.IdleTimeout, 120*time.Second))
	check(limit("ShutdownTimeout", &o.ShutdownTimeout, 15*time.Second))
	if first != nil {
		return o, first
	}
	if o.BatchWait == 0 {
		o.BatchWait = 2 * time.Millisecond
	}
	if o.QueueSize < o.MaxImages {
		return o, errors.Errorf("QueueSize is %d, expected at least MaxImages, %d: a request of that many could never be accepted", o.QueueSize, o.MaxImages)
	}
	if o.MaxRequestPixels < o.MaxPixels {
		return o, errors.Errorf("MaxRequestPixels is %d, expected at least MaxPixels, %d: an image of that many could never be accepted", o.MaxRequestPixels, o.MaxPixels)
	}
	if o.WriteTimeout <= o.RequestTimeout {
		return o, errors.Errorf("WriteTimeout is %v, expected more than RequestTimeout, %v: there would be no time to send the answer", o.WriteTimeout, o.RequestTimeout)
	}
	if o.MaxBufferedBytes < o.MaxBodyBytes {
		return o, errors.Errorf("MaxBufferedBytes is %d, expected at least MaxBodyBytes, %d: a request of that many could never be accepted", o.MaxBufferedBytes, o.MaxBodyBytes)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// requestTimeout is the default of RequestTimeout, which depends on other limits.
func (o Options) requestTimeout() time.Duration {
	if o.WriteTimeout > 0 {
		return o.WriteTimeout - o.WriteTimeout/4
	}
	return max(45*time.Second, o.ReadTimeout+15*time.Second)
}

// limit replaces a value of zero by the default and refuses negative values.
func limit[T int | int64 | time.Duration](name string, value *T, defaultValue T) error {
	if *value < 0 {
		return errors.Errorf("%s is %v, expected a positive value, or 0 for the default %v", name, *value, defaultValue)
	}
	if *value == 0 {
		*value = defaultValue
	}
	return nil
}
