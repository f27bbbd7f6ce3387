package kernel

import (
	"slices"
	"sync"

	"github.com/likeness-go/likeness/internal/vector"
)

// workspace is the scratch memory of a worker. Kernels borrow and return it, so
// a few workspaces, one a thread, serve all layers of a network and stay in the
// cache.
type workspace[T Float] struct {
	worker int // who had it last

	halo       []T // images with a border of zeros
	gradient   []T // of a convolution's result
	columns    []T // packed for a product
	convolved  []T
	normalized []T
	active     []T
	values     []T // transformed by Winograd's algorithm
	results    []T // of a product of these
	tile       []T
	offsets    []int32
	places     []int32 // of a pool's window
	position   []uint8

	// Descriptions of products, which would be allocated at each call.
	packed  packed[T]
	product vector.Rows[T]
	outer   vector.Outer[T]
	windows vector.Windows[T]
	tiles   vector.Winograd[T]
	peaks   vector.Peaks[T]
}

// shelves keep the scratch memory of an element type that nobody uses. There is
// never more of it than was in use at once, and it is kept while somebody retains
// the workers: the collector would take that of a sync.Pool, and with it megabytes
// a step.
type shelves[T Float] struct {
	sync.Mutex
	idle    []*workspace[T]
	spectra []*spectra[T]
}

// clear gives the memory up.
func (s *shelves[T]) clear() {
	s.Lock()
	defer s.Unlock()
	s.idle, s.spectra = nil, nil
}

var (
	singles shelves[float32]
	doubles shelves[float64]
)

func shelvesOf[T Float]() *shelves[T] {
	if s, single := any(&singles).(*shelves[T]); single {
		return s
	}
	return any(&doubles).(*shelves[T])
}

// borrow returns a workspace of unspecified contents for one of the workers
// that divide a kernel's work, the one that it had before if that is there: the
// memory is in its processor's cache.
func borrow[T Float](worker int) *workspace[T] {
	s := shelvesOf[T]()
	s.Lock()
	defer s.Unlock()
	at := len(s.idle) - 1
	if at < 0 {
		return &workspace[T]{worker: worker}
	}
	for i, w := range s.idle {
		if w.worker == worker {
			at = i
		}
	}
	w := s.idle[at]
	s.idle = slices.Delete(s.idle, at, at+1)
	w.worker = worker
	return w
}

// parallel is Parallel with a workspace for each worker.
func parallel[T Float](n int, work func(w *workspace[T], i int)) {
	threads := Threads()
	spaces := make([]*workspace[T], threads)
	defer func() {
		for _, w := range spaces {
			if w != nil {
				w.giveBack()
			}
		}
	}()
	divide(threads, n, func(worker, i int) {
		if spaces[worker] == nil {
			spaces[worker] = borrow[T](worker)
		}
		work(spaces[worker], i)
	})
}

func (w *workspace[T]) giveBack() {
	s := shelvesOf[T]()
	s.Lock()
	defer s.Unlock()
	if retained.Load() > 0 {
		s.idle = append(s.idle, w)
	}
}

// grow returns a slice of length n, reusing the memory of *s if it suffices.
// The contents are unspecified.
func grow[E any](s *[]E, n int) []E {
	if cap(*s) < n {
		*s = make([]E, n)
	}
	*s = (*s)[:n]
	return *s
}
