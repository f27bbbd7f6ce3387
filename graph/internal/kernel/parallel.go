package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// threads is the number of goroutines that divide a kernel's work.
var threads atomic.Int64

func init() { SetThreads(runtime.GOMAXPROCS(0)) }

// MaxThreads is the largest number of goroutines that divide a kernel's work.
const MaxThreads = 1024

// SetThreads sets the number of goroutines that divide a kernel's work, between
// 1 and MaxThreads: a number outside is brought to the nearest of the two. It is
// safe for concurrent use and counts from the next call of a kernel on. Results
// do not depend on it.
func SetThreads(n int) { threads.Store(int64(min(max(n, 1), MaxThreads))) }

// Threads returns the number of goroutines that divide a kernel's work. It is
// GOMAXPROCS, or MaxThreads where that is less, until SetThreads is called.
func Threads() int { return int(threads.Load()) }

// Parallel calls work(i) for every i in [0, n) and returns when all are done.
// Each worker goes through one contiguous range in order, and then helps others
// with what is left of theirs. Units must not write to the same memory. A panic
// in a unit is raised again in the caller.
func Parallel(n int, work func(i int)) {
	divide(Threads(), n, func(_, i int) { work(i) })
}

// divide is Parallel by at most so many workers, which are numbered from 0, the
// caller.
func divide(threads, n int, work func(worker, i int)) {
	if threads <= 1 || n <= 1 {
		for i := range n {
			work(0, i)
		}
		return
	}
	helpers := hire(min(threads, n) - 1)
	j := job{work: work, shares: make([]share, len(helpers)+1)}
	for k := range j.shares {
		j.shares[k].next.Store(int64(k * n / len(j.shares)))
		j.shares[k].end = int64((k + 1) * n / len(j.shares))
	}
	j.waiting.Add(len(helpers))
	j.pending.Store(int64(len(helpers)))
	for k, helper := range helpers {
		helper.start(&j, k+1)
	}
	j.run(0)
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
	work     func(worker, i int)
	shares   []share
	pending  atomic.Int64 // workers that are not done
	waiting  sync.WaitGroup
	panicked atomic.Pointer[any] // the first
}

// share is a worker's range of units.
type share struct {
	next atomic.Int64
	end  int64
	_    [6]int64 // shares of two workers are not in one line of the cache
}

// run does a share, and then what it can of the others.
func (j *job) run(first int) {
	defer func() {
		if value := recover(); value != nil {
			j.panicked.CompareAndSwap(nil, &value)
		}
	}()
	for k := range j.shares {
		s := &j.shares[(first+k)%len(j.shares)]
		for i := s.next.Add(1) - 1; i < s.end; i = s.next.Add(1) - 1 {
			j.work(first, int(i))
		}
	}
}

// units is about how many units a kernel divides its work into where it has a
// choice: enough for some tens of threads, and a multiple of small numbers of
// threads. Units are divided by shape alone.
const units = 24

// ceilDiv returns ⌈a/b⌉ for b > 0 and a > −b.
func ceilDiv(a, b int) int { return (a + b - 1) / b }
