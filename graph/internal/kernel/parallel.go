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
	workers := min(Threads(), n)
	if workers <= 1 {
		for i := range n {
			work(i)
		}
		return
	}
	var wait sync.WaitGroup
	panics := make([]any, workers)
	run := func(worker int) {
		defer func() { panics[worker] = recover() }()
		for i := worker * n / workers; i < (worker+1)*n/workers; i++ {
			work(i)
		}
	}
	for worker := 1; worker < workers; worker++ {
		wait.Go(func() { run(worker) })
	}
	run(0)
	wait.Wait()
	for _, value := range panics {
		if value != nil {
			panic(value)
		}
	}
}

// units is about how many units a kernel divides its work into where it has a
// choice: enough for some tens of threads, and a multiple of small numbers of
// threads. Units are divided by shape alone.
const units = 24

// ceilDiv returns ⌈a/b⌉ for b > 0 and a > −b.
func ceilDiv(a, b int) int { return (a + b - 1) / b }
