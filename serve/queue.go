package serve

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
)

var (
	errFull   = errors.New("too many images are waiting")
	errClosed = errors.New("the server is shutting down")
)

// queue collects the images of requests in batches. One goroutine, run, embeds them,
// because the kernels use all threads for one batch.
type queue struct {
	embed       func(pixels [][]uint8) ([][]float32, error)
	embedded    func(images int) // called with the size of each batch
	size, limit int              // maximum numbers of images in a batch and in the queue
	wait        time.Duration    // maximum time to wait for a full batch

	mutex   sync.Mutex // guards the following fields
	waiting []queued
	closed  bool

	wake chan struct{} // has one element after a change
	done chan struct{} // closed when run has returned
}

// queued is a waiting image of a request.
type queued struct {
	request *request
	image   int
}

// request holds the images of one request and the results. Until done is closed, only
// the queue's goroutine writes the fields after it.
type request struct {
	context    context.Context
	pixels     [][]uint8
	done       chan struct{}
	embeddings [][]float32
	left       int // number of images that are not embedded yet
	err        error
}

func newQueue(embed func([][]uint8) ([][]float32, error), o Options) *queue {
	return &queue{
		embed: embed, embedded: func(int) {}, size: o.BatchSize, limit: o.QueueSize, wait: o.BatchWait,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// Embed returns one embedding for each image, in order. It returns errFull immediately if
// the images do not fit into the queue, errClosed, the cause of the context's end, or the
// error of the network.
func (q *queue) Embed(ctx context.Context, pixels [][]uint8) ([][]float32, error) {
	r := &request{context: ctx, pixels: pixels, done: make(chan struct{}), embeddings: make([][]float32, len(pixels)), left: len(pixels)}
	if err := q.add(r); err != nil {
		return nil, err
	}
	select {
	case <-r.done:
		return r.embeddings, r.err
	case <-ctx.Done():
		q.drop(r)
		return nil, context.Cause(ctx)
	}
}

func (q *queue) add(r *request) error {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	switch {
	case q.closed:
		return errClosed
	case len(q.waiting)+len(r.pixels) > q.limit:
		return errFull
	}
	for i := range r.pixels {
		q.waiting = append(q.waiting, queued{r, i})
	}
	q.changed()
	return nil
}

// drop removes the waiting images of a request. The results of those that are being
// embedded are discarded.
func (q *queue) drop(r *request) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(p queued) bool { return p.request == r })
}

func (q *queue) changed() {
	select {
	case q.wake <- struct{}{}:
	default: // a wake-up is pending
	}
}

func (q *queue) length() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return len(q.waiting)
}

// close makes run return when no image is waiting.
func (q *queue) close() {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.closed = true
	q.changed()
}

// run embeds batch after batch until the queue is closed and empty.
func (q *queue) run() {
	defer close(q.done)
	for {
		batch, more := q.next()
		if len(batch) > 0 {
			q.answer(batch)
		}
		if !more {
			return
		}
	}
}

// next waits for a batch and reports whether there may be more.
func (q *queue) next() (batch []queued, more bool) {
	for !q.ready(1) {
		<-q.wake
	}
	if q.wait > 0 {
		timer := time.NewTimer(q.wait)
		defer timer.Stop()
		for late := false; !late && !q.ready(q.size); {
			select {
			case <-q.wake:
			case <-timer.C:
				late = true
			}
		}
	}
	q.mutex.Lock()
	defer q.mutex.Unlock()
	taken := min(q.size, len(q.waiting))
	batch = slices.Clone(q.waiting[:taken])
	q.waiting = slices.Delete(q.waiting, 0, taken)
	return batch, !q.closed || len(q.waiting) > 0
}

// ready reports whether the given number of images are waiting or the queue is closed.
func (q *queue) ready(images int) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.closed || len(q.waiting) >= images
}

// answer embeds a batch. An error is returned to all requests that have images in it.
func (q *queue) answer(batch []queued) {
	batch = slices.DeleteFunc(batch, func(p queued) bool { return p.request.context.Err() != nil })
	if len(batch) == 0 {
		return
	}
	pixels := make([][]uint8, len(batch))
	for i, p := range batch {
		pixels[i] = p.request.pixels[p.image]
	}
	embeddings, err := q.guarded(pixels)
	q.embedded(len(batch))
	for i, p := range batch {
		r := p.request
		if err != nil {
			r.err = err
		} else {
			r.embeddings[p.image] = embeddings[i]
		}
		if r.left--; r.left == 0 {
			close(r.done)
		}
	}
}

// guarded embeds a batch and returns a panic, which would end the program, as an error.
func (q *queue) guarded(pixels [][]uint8) (embeddings [][]float32, err error) {
	defer guard.Recover(&err, "embed")
	embeddings, err = q.embed(pixels)
	if err == nil && len(embeddings) != len(pixels) {
		err = errors.Errorf("embed: found %d embeddings for %d images", len(embeddings), len(pixels))
	}
	return embeddings, err
}

var errMemory = errors.New("the request bodies fill the memory that is reserved for them")

// memory limits the total size of the bodies of all requests. Bytes count when they have
// been received and not when a header announces them, so that many slow clients occupy
// little of it.
type memory struct{ left atomic.Int64 }

func newMemory(bytes int64) *memory {
	m := &memory{}
	m.left.Store(bytes)
	return m
}

// counted is a body whose bytes count against the memory until release is called.
// Reading returns errMemory when none is left.
type counted struct {
	io.ReadCloser
	memory *memory
	taken  int64
	gone   bool // the connection ended before the body did
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.taken += int64(n)
	var network *net.OpError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) && !network.Timeout() {
		c.gone = true
	}
	if c.memory.left.Add(-int64(n)) < 0 {
		return 0, errMemory
	}
	return n, err
}

func (c *counted) release() {
	c.memory.left.Add(c.taken)
	c.taken = 0
}

// slots limits the number of requests that are computed concurrently. A request acquires
// a slot after it has been read and releases it before its answer is written, so that
// slow clients do not block others.
type slots chan struct{}

// check returns an error if no slot is free, before the request is read.
func (p slots) check() error {
	if len(p) == cap(p) {
		return p.refuse()
	}
	return nil
}

// acquire acquires a slot without waiting, or returns an error.
func (p slots) acquire() error {
	select {
	case p <- struct{}{}:
		return nil
	default:
		return p.refuse()
	}
}

func (p slots) release() { <-p }

func (p slots) refuse() error {
	return refuse(http.StatusTooManyRequests, "found more concurrent requests than the maximum of %d: try again later", cap(p))
}
