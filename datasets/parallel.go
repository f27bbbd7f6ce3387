package datasets

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/pkg/errors"
)

// mostOpen is how many files are open at a time, so that a process with many threads
// stays below the limits of operating systems, 256 and more.
const mostOpen = 64

// parallelFiles is parallel for work that opens a file.
func parallelFiles(n int, work func(i int) error) error {
	return parallelUpTo(min(runtime.GOMAXPROCS(0), mostOpen), n, work)
}

// parallel calls work(i) for i = 0 to n−1 on all processors and returns the
// error of the lowest i that had one, whatever the number of processors.
func parallel(n int, work func(i int) error) error {
	return parallelUpTo(runtime.GOMAXPROCS(0), n, work)
}

func parallelUpTo(threads, n int, work func(i int) error) error {
	var next, failed atomic.Int64
	failed.Store(int64(n)) // the lowest i that failed; n when none did
	var once sync.Mutex
	var first error
	var workers sync.WaitGroup
	for range min(n, threads) {
		workers.Go(func() {
			// Indices are handed out in order: all below a failed one were begun.
			for i := next.Add(1) - 1; i < failed.Load(); i = next.Add(1) - 1 {
				if err := withoutPanic(work, int(i)); err != nil {
					once.Lock()
					if i < failed.Load() {
						failed.Store(i)
						first = err
					}
					once.Unlock()
				}
			}
		})
	}
	workers.Wait()
	return first
}

// withoutPanic is work(i), with an error in place of a panic: one in a goroutine would
// end the process.
func withoutPanic(work func(i int) error, i int) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = errors.Errorf("item %d: its processing panics: %v", i, cause)
		}
	}()
	return work(i)
}
