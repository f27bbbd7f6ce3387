package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// threads is the number of goroutines that divide a kernel's work.
var threads atomic.Int64

func init() { threads.Store(int64(runtime.GOMAXPROCS(0))) }

// SetThreads sets the number of goroutines that divide a kernel's work, at
// least one. It is safe for concurrent use and counts from the next call of a
// kernel on. Results do not depend on it.
func SetThreads(n int) { threads.Store(int64(max(n, 1))) }

// Threads returns the number of goroutines that divide a kernel's work. It is
// GOMAXPROCS until SetThreads is called.
func Threads() int { return int(threads.Load()) }

// Parallel calls work(i) for every i in [0, n), each worker going through one
// contiguous range in order, and returns when all are done. Units must not
// write to the same memory. A panic in a unit is raised again in the caller.
func Parallel(n int, work func(i int)) {
	if Threads() <= 1 || n <= 1 {
		for i := range n {
			work(i)
		}
		return
	}
	helpers := hire(min(Threads(), n) - 1)
	parts := len(helpers) + 1
	j := job{work: work}
	j.waiting.Add(len(helpers))
	j.pending.Store(int64(len(helpers)))
	for k, helper := range helpers {
		helper.start(&j, (k+1)*n/parts, (k+2)*n/parts)
	}
	j.run(0, n/parts)
	for range patience {
		if j.pending.Load() == 0 {
			break
		}
	}
	j.waiting.Wait()
	dismiss(helpers)
	if value := j.panicked.Load(); value != nil {
		panic(*value)
	}
}

// job is what a call of Parallel has to do.
type job struct {
	work     func(i int)
	pending  atomic.Int64 // workers that are not done
	waiting  sync.WaitGroup
	panicked atomic.Pointer[any] // the first
}

func (j *job) run(first, last int) {
	defer func() {
		if value := recover(); value != nil {
			j.panicked.CompareAndSwap(nil, &value)
		}
	}()
	for i := first; i < last; i++ {
		j.work(i)
	}
}

// units is about how many units a kernel divides its work into where it has a
// choice: enough for some tens of threads, and a multiple of small numbers of
// threads. Units are divided by shape alone.
const units = 24

// ceilDiv returns ⌈a/b⌉ for b > 0 and a > −b.
func ceilDiv(a, b int) int { return (a + b - 1) / b }
