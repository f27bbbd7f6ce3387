package kernel

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// workspace is the scratch memory of a worker. Kernels borrow a workspace and release
// it, so that a few of them, one for each thread, serve all layers of a network and
// stay in the cache.
type workspace[T Float] struct {
	worker int // the number of the worker that had it last

	halo          []T // images with a border of zeros
	gradient      []T // of a convolution's result
	columns       []T // packed for a product
	convolved     []T
	normalized    []T
	active        []T
	values        []T // the input of Winograd's algorithm or the Fourier transform, transformed
	results       []T // of a product of these
	tile          []T
	offsets       []int32
	inputOffsets  []int32 // of rows that are copied
	resultOffsets []int32
	position      []uint8
	pairs         []T // of bfloat16 numbers of a gradient
	groupInput    []T // the channels of a group
	groupResult   []T

	// Descriptions of products, which would otherwise be allocated at each call.
	packed  packed[T]
	product vector.Rows[T]
	outer   vector.Outer[T]
	windows vector.Windows[T]
	tiles   vector.Winograd[T]
	peaks   vector.Peaks[T]

	depthwise vector.Depthwise[T]
}

// scratch holds the scratch memory of one element type that is not in use. There is never
// more of it than was in use at the same time. It is kept while it is retained by Retain.
// It is not a sync.Pool, because the garbage collector would empty that, and every step
// would allocate megabytes again.
type scratch[T Float] struct {
	sync.Mutex
	idle    []*workspace[T]
	spectra []*spectra[T]
	passes  []*passMemory[T]
}

// clear drops the memory.
func (s *scratch[T]) clear() {
	s.Lock()
	defer s.Unlock()
	s.idle, s.spectra, s.passes = nil, nil, nil
}

var (
	float32Scratch scratch[float32]
	float64Scratch scratch[float64]
)

// scratchOf returns the scratch memory of an element type.
func scratchOf[T Float]() *scratch[T] {
	if s, ok := any(&float32Scratch).(*scratch[T]); ok {
		return s
	}
	return any(&float64Scratch).(*scratch[T])
}

// retained is the number of users that retain scratch memory.
var retained atomic.Int64

// Retain keeps scratch memory and the workers of package parallel from call to call until
// release is called; calling release more than once has no further effect. When they are
// not retained, both are dropped after each call of a kernel.
func Retain() (release func()) {
	retained.Add(1)
	endWorkers := parallel.Retain()
	return sync.OnceFunc(func() {
		endWorkers()
		if retained.Add(-1) > 0 {
			return
		}
		// What is released from now on is not kept; what was released before is here.
		float32Scratch.clear()
		float64Scratch.clear()
	})
}

// borrow returns a workspace of unspecified contents for a worker: if possible the one
// that it had before, whose memory is in the cache of its processor.
func borrow[T Float](worker int) *workspace[T] {
	s := scratchOf[T]()
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

// release ends the use of a workspace.
func (w *workspace[T]) release() {
	s := scratchOf[T]()
	s.Lock()
	defer s.Unlock()
	if retained.Load() > 0 {
		s.idle = append(s.idle, w)
	}
}

// passMemory is what a convolution needs only while it computes its results, or its gradients,
// in training. It is large with many channels, and all layers of a network share it.
type passMemory[T Float] struct {
	ordered, packed []T
	values, padded  []float32 // by Winograd's algorithm
	kept            kept
	tiles           tileMemory
	partial         []T
	sloped          []T
	sum, total      []T
}

// borrowForResults borrows the memory for a forward pass whose packed weights are not needed
// later.
func (c *Conv[T]) borrowForResults() (release func()) {
	if c.shared != nil {
		return func() {}
	}
	return borrowPass(func(m *passMemory[T]) {
		m.ordered, c.ordered = c.ordered, m.ordered
		m.packed, c.forward.data = c.forward.data, m.packed
		m.exchangeWinograd(c.winograd)
	})
}

// borrowTiles borrows the memory for the tiles of several images.
func (c *Conv[T]) borrowTiles() (release func()) {
	return borrowPass(func(m *passMemory[T]) { m.tiles, c.tiles = c.tiles, m.tiles })
}

// borrowForGradients borrows the memory for the gradients.
func (c *Conv[T]) borrowForGradients() (release func()) {
	g := &c.gradient
	return borrowPass(func(m *passMemory[T]) {
		m.kept, g.kept = g.kept, m.kept
		m.tiles, g.tiles = g.tiles, m.tiles
		m.partial, g.partial = g.partial, m.partial
		m.sum, g.sum = g.sum, m.sum
		m.total, g.total = g.total, m.total
		if c.shared == nil {
			m.ordered, c.ordered = c.ordered, m.ordered
			m.packed, g.packed.data = g.packed.data, m.packed
			m.exchangeWinograd(g.winograd)
		}
	})
}

func (m *passMemory[T]) exchangeWinograd(w *winograd) {
	if w != nil {
		m.values, w.values = w.values, m.values
		m.padded, w.padded = w.padded, m.padded
	}
}

// borrowPass gives a convolution memory that is not in use, until release is called. exchange
// swaps it with the convolution's own.
func borrowPass[T Float](exchange func(m *passMemory[T])) (release func()) {
	s := scratchOf[T]()
	s.Lock()
	m := &passMemory[T]{}
	if last := len(s.passes) - 1; last >= 0 {
		m, s.passes = s.passes[last], s.passes[:last]
	}
	s.Unlock()
	exchange(m)
	return func() {
		exchange(m)
		s.Lock()
		defer s.Unlock()
		if retained.Load() > 0 {
			s.passes = append(s.passes, m)
		}
	}
}

// divide is parallel.For with a workspace for each worker.
func divide[T Float](n int, work func(w *workspace[T], i int)) {
	threads := parallel.Threads()
	spaces := make([]*workspace[T], threads)
	defer func() {
		for _, w := range spaces {
			if w != nil {
				w.release()
			}
		}
	}()
	parallel.ForWorkers(threads, n, func(worker, i int) {
		if spaces[worker] == nil {
			spaces[worker] = borrow[T](worker)
		}
		work(spaces[worker], i)
	})
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

// rowsPerChunk returns the number of rows, each of the given number of columns, that
// make one unit of an elementwise kernel or a reduction: enough elements for a unit to
// be worth starting, few enough to stay in the level 1 cache.
func rowsPerChunk(columns int) int { return max(1, 4096/columns) }

// reduce calls work for each of a number of units, which adds len(total) partial sums
// to sum, and writes to total the sums over all units, added up in the order of the
// units.
func reduce(total []float64, units int, work func(sum []float64, unit int)) {
	reduceWith(total, units, func(_ *workspace[float64], sum []float64, unit int) { work(sum, unit) })
}

// reduceWith is reduce with a workspace for each worker.
func reduceWith[T Float](total []float64, units int, work func(w *workspace[T], sum []float64, unit int)) {
	width := len(total)
	space := borrow[float64](0)
	defer space.release()
	partial := grow(&space.columns, units*width)
	divide(units, func(w *workspace[T], unit int) {
		sum := partial[unit*width:][:width]
		clear(sum)
		work(w, sum, unit)
	})
	clear(total)
	for unit := range units {
		for j, v := range partial[unit*width:][:width] {
			total[j] += v
		}
	}
}

// reduceRows is reduce over chunks [first, last) of rows, which depend on the shape
// alone.
func reduceRows(total []float64, rows, columns int, work func(sum []float64, first, last int)) {
	step := rowsPerChunk(columns)
	reduce(total, ceilDiv(rows, step), func(sum []float64, chunk int) {
		work(sum, chunk*step, min((chunk+1)*step, rows))
	})
}

// sumRows writes the sum of the rows of x (rows, columns).
func sumRows[T Float](sum, x []T, rows, columns int) {
	checkLength("sum", sum, columns)
	checkLength("x", x, rows*columns)
	total := make([]float64, columns)
	reduceRows(total, rows, columns, func(sum []float64, first, last int) {
		vector.For[T]().SumRows(sum, x[first*columns:last*columns])
	})
	round(sum, total)
}

// round writes to y the elements of x, rounded to the precision of y.
func round[T Float](y []T, x []float64) {
	for i, v := range x {
		y[i] = T(v)
	}
}

// units is about the number of units that a kernel divides its work into where the
// shape leaves a choice: enough for some tens of threads, and a multiple of small
// numbers of threads. The units depend on the shape alone.
const units = 24

// ceilDiv returns ⌈a/b⌉ for b > 0 and a > −b.
func ceilDiv(a, b int) int { return (a + b - 1) / b }
