package integer

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// workspace is the scratch memory of a worker.
type workspace struct {
	worker int // the number of the worker that had it last

	halo    []uint8 // images with a border of the zero point
	between []uint8 // results before a pool or a projection
	sums    []int32
	factors []int32

	xOffsets, yOffsets []int32
	rowOffsets         []int32
	expanded           []uint8 // the result of an expansion
	transformed        []uint8 // the values of tiles
	tileScratch        []uint8

	// Descriptions of loops, which would otherwise be allocated at each call.
	rows      vector.ByteRows
	depthwise vector.ByteDepthwise
	windows   vector.ByteWindows
	tiles     vector.ByteTiles
	offsets   []int32
}

// scratch holds the workspaces that are not in use. There are never more of them than were in use
// at the same time. They are kept while they are retained by Retain.
var scratch struct {
	sync.Mutex
	idle []*workspace
}

// retained is the number of users that retain scratch memory.
var retained atomic.Int64

// Retain keeps scratch memory and the workers of package parallel from call to call until
// release is called; calling release more than once has no further effect. When they are not
// retained, both are dropped after each call.
func Retain() (release func()) {
	retained.Add(1)
	endWorkers := parallel.Retain()
	return sync.OnceFunc(func() {
		endWorkers()
		if retained.Add(-1) > 0 {
			return
		}
		scratch.Lock()
		defer scratch.Unlock()
		scratch.idle = nil
	})
}

// borrow returns a workspace of unspecified contents for a worker: if possible the one that it had
// before, whose memory is in the cache of its processor.
func borrow(worker int) *workspace {
	scratch.Lock()
	defer scratch.Unlock()
	at := len(scratch.idle) - 1
	if at < 0 {
		return &workspace{worker: worker}
	}
	for i, w := range scratch.idle {
		if w.worker == worker {
			at = i
		}
	}
	w := scratch.idle[at]
	scratch.idle = slices.Delete(scratch.idle, at, at+1)
	w.worker = worker
	return w
}

// release ends the use of a workspace.
func (w *workspace) release() {
	w.rows, w.depthwise, w.windows, w.tiles = vector.ByteRows{}, vector.ByteDepthwise{}, vector.ByteWindows{}, vector.ByteTiles{} // keep no tensor in memory
	scratch.Lock()
	defer scratch.Unlock()
	if retained.Load() > 0 {
		scratch.idle = append(scratch.idle, w)
	}
}

// divide is parallel.For with a workspace for each worker.
func divide(n int, work func(w *workspace, i int)) {
	threads := parallel.Threads()
	if threads == 1 || n == 1 {
		w := borrow(0)
		defer w.release()
		for i := range n {
			work(w, i)
		}
		return
	}
	spaces := make([]*workspace, threads)
	defer func() {
		for _, w := range spaces {
			if w != nil {
				w.release()
			}
		}
	}()
	parallel.ForWorkers(threads, n, func(worker, i int) {
		if spaces[worker] == nil {
			spaces[worker] = borrow(worker)
		}
		work(spaces[worker], i)
	})
}

// grow returns a slice of length n, reusing the memory of *s if it suffices. The contents are
// unspecified.
func grow[E any](s *[]E, n int) []E {
	if cap(*s) < n {
		*s = make([]E, n)
	}
	*s = (*s)[:n]
	return *s
}

// ceilDiv returns ⌈a/b⌉ for b > 0 and a > −b.
func ceilDiv(a, b int) int { return (a + b - 1) / b }
