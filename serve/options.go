package serve

import (
	"log/slog"
	"math"
	"time"

	"github.com/likeness-go/likeness/gallery"
	"github.com/pkg/errors"
)

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
