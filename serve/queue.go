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

	"github.com/pkg/errors"
)

var (
	errFull   = errors.New("too many images wait already")
	errClosed = errors.New("the server is shutting down")
)

// queue gathers the images of requests into batches. One goroutine, run, embeds
// them, as the kernels use all threads for one batch.
type queue struct {
	embed       func(pixels [][]uint8) ([][]float32, error)
	embedded    func(images int) // is told the size of each batch
	size, limit int              // images of a batch, and those that may wait
	wait        time.Duration    // for a batch to become full

	mutex   sync.Mutex // of what follows
	waiting []place
	closed  bool

	wake chan struct{} // has one element when something has changed
	done chan struct{} // is closed when run has returned
}

// place is an image that waits: one of a request's.
type place struct {
	request *request
	image   int
}

// request is the images of one request and what comes of them. The queue's
// goroutine alone writes what follows done until it closes it.
type request struct {
	context    context.Context
	pixels     [][]uint8
	done       chan struct{}
	embeddings [][]float32
	left       int // images that are not embedded
	err        error
}

func newQueue(embed func([][]uint8) ([][]float32, error), o Options) *queue {
	return &queue{
		embed: embed, embedded: func(int) {}, size: o.BatchSize, limit: o.QueueSize, wait: o.BatchWait,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// Embed gives one embedding for each image, in order. The errors are errFull at
// once where they do not fit, errClosed, the context's cause, and the network's.
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
		q.waiting = append(q.waiting, place{r, i})
	}
	q.changed()
	return nil
}

// drop gives the places of a request to others. Images that are being embedded
// are embedded for nobody.
func (q *queue) drop(r *request) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.waiting = slices.DeleteFunc(q.waiting, func(p place) bool { return p.request == r })
}

func (q *queue) changed() {
	select {
	case q.wake <- struct{}{}:
	default: // it is awake
	}
}

func (q *queue) length() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return len(q.waiting)
}

// close lets run end when nothing waits.
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

// next waits for a batch. It says whether there may be more.
func (q *queue) next() (batch []place, more bool) {
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

// ready says whether so many images wait, or no more will come.
func (q *queue) ready(images int) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.closed || len(q.waiting) >= images
}

// answer embeds a batch. Its error is that of all requests that are in it.
func (q *queue) answer(batch []place) {
	batch = slices.DeleteFunc(batch, func(p place) bool { return p.request.context.Err() != nil })
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

// guarded makes an error of a panic, which here would end the program.
func (q *queue) guarded(pixels [][]uint8) (embeddings [][]float32, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = errors.Errorf("embed: panic: %v", cause)
		}
	}()
	embeddings, err = q.embed(pixels)
	if err == nil && len(embeddings) != len(pixels) {
		err = errors.Errorf("embed: found %d embeddings of %d images", len(embeddings), len(pixels))
	}
	return embeddings, err
}

var errCrowded = errors.New("the bodies of requests take all the memory that there is for them")

// memory bounds what the bodies of all requests take together. Bytes count when
// they have come and not when a header promises them, so that slow clients, of
// which there may be many, take little of it.
type memory struct{ left atomic.Int64 }

func newMemory(bytes int64) *memory {
	m := &memory{}
	m.left.Store(bytes)
	return m
}

// counted is a body whose bytes are taken from the memory until they are released.
// Reading it beyond what is left is errCrowded.
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
		return 0, errCrowded
	}
	return n, err
}

func (c *counted) release() {
	c.memory.left.Add(c.taken)
	c.taken = 0
}

// places are those of the requests that are computed. A request takes one when it
// has been read and gives it back before its answer is written, so that a client
// that sends or reads slowly keeps nobody out.
type places chan struct{}

// check refuses a request for which there would be no place if it had been read.
func (p places) check() error {
	if len(p) == cap(p) {
		return p.refuse()
	}
	return nil
}

// enter takes a place, which leave gives back, or refuses at once.
func (p places) enter() error {
	select {
	case p <- struct{}{}:
		return nil
	default:
		return p.refuse()
	}
}

func (p places) leave() { <-p }

func (p places) refuse() error {
	return refuse(http.StatusTooManyRequests, "found %d requests at a time, which is the most that are taken: try again", cap(p))
}
