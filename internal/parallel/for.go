package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/guard"
)

// MaxThreads is the largest thread limit: more threads than any machine has
// processors to gain by, and few enough that a mistyped number cannot exhaust the
// threads of the process.
const MaxThreads = 1024

// threads is the thread limit.
var threads atomic.Int64

func init() { SetThreads(runtime.GOMAXPROCS(0)) }

// SetThreads sets the thread limit, the largest number of goroutines that work for
// one call of a function of this package. A number below 1 means 1 and one above
// MaxThreads means MaxThreads. It is safe for concurrent use; calls that have begun
// keep the limit with which they began.
func SetThreads(n int) { threads.Store(int64(min(max(n, 1), MaxThreads))) }

// Threads returns the thread limit. Until SetThreads is called it is GOMAXPROCS at
// the start of the program, or MaxThreads if that is less.
func Threads() int { return int(threads.Load()) }

// For calls work(i) for every i in [0, n) and returns when all calls are done. It uses
// at most Threads() goroutines, the caller's included; with a limit of one, or with one
// index, it runs in the caller alone. Each worker takes one contiguous range of
// indices in increasing order, and when that is done helps with the remaining indices
// of the other ranges. Calls with different indices must not write to the same memory.
//
// A panic of work is raised again in the caller, when all workers have stopped; the
// remaining indices may or may not have been visited then. If several calls panic,
// one of the values is raised.
func For(n int, work func(i int)) {
	ForWorkers(Threads(), n, func(_, i int) { work(i) })
}

// ForWorkers is For with a given maximum number of workers, which should be a result
// of Threads, and with the number of the worker that makes the call: in [0, workers),
// 0 being the caller. No two calls with the same number overlap, so a slice of
// scratch memory with one element for each worker needs no lock.
func ForWorkers(workers, n int, work func(worker, i int)) {
	if workers <= 1 || n <= 1 {
		for i := range n {
			work(0, i)
		}
		return
	}
	helpers := acquire(min(workers, n) - 1)
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
	for range maxSpins {
		if j.pending.Load() == 0 {
			break
		}
	}
	j.waiting.Wait()
	release(helpers)
	if value := j.panicked.Load(); value != nil {
		panic(*value)
	}
}

// job is the work of one call of ForWorkers.
type job struct {
	work     func(worker, i int)
	shares   []share
	pending  atomic.Int64 // number of helpers that are not done
	waiting  sync.WaitGroup
	panicked atomic.Pointer[any] // the value of the first panic
}

// share is the range of indices that a worker begins with.
type share struct {
	next atomic.Int64
	end  int64
	_    [6]int64 // padding: the shares of two workers must not lie in one cache line
}

// run visits the indices of the worker's own share, and then those that are left of
// the others.
func (j *job) run(worker int) {
	defer func() {
		if value := recover(); value != nil {
			value = guard.Relay(value)
			j.panicked.CompareAndSwap(nil, &value)
		}
	}()
	for k := range j.shares {
		s := &j.shares[(worker+k)%len(j.shares)]
		for i := s.next.Add(1) - 1; i < s.end; i = s.next.Add(1) - 1 {
			j.work(worker, int(i))
		}
	}
}
