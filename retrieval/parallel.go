package retrieval

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/pkg/errors"
)

// mostOpen is how many files are open at a time, so that a process with many threads
// stays below the limits of operating systems, 256 and more.
const mostOpen = 64

// parallelFiles is parallel for work that opens a file.
func parallelFiles(ctx context.Context, count int, work func(i int) error) error {
	return parallelUpTo(ctx, min(runtime.GOMAXPROCS(0), mostOpen), count, nil, work)
}

// parallel calls work(0) … work(count−1) on all processors and returns the error
// of the lowest index that had one, or the context's when it ends first. onDone is
// told how many are done, one call at a time; nil asks for nothing. A nil context
// never ends. A panic is an error: in another goroutine than the caller's it would
// end the process.
func parallel(ctx context.Context, count int, onDone func(done, total int), work func(i int) error) error {
	return parallelUpTo(ctx, runtime.GOMAXPROCS(0), count, onDone, work)
}

func parallelUpTo(ctx context.Context, threads, count int, onDone func(done, total int), work func(i int) error) error {
	if ctx == nil {
		ctx = context.Background()
	}
	var next, failed atomic.Int64
	failed.Store(int64(count)) // the lowest index that failed; count when none did
	var mutex sync.Mutex
	var first error
	done := 0
	var workers sync.WaitGroup
	for range min(count, threads) {
		workers.Go(func() {
			// Indices are handed out in order: all below a failed one were begun.
			for i := next.Add(1) - 1; i < failed.Load() && ctx.Err() == nil; i = next.Add(1) - 1 {
				err := recovered(work, int(i))
				mutex.Lock()
				if done++; onDone != nil && err == nil {
					onDone(done, count)
				}
				if err != nil && i < failed.Load() {
					failed.Store(i)
					first = err
				}
				mutex.Unlock()
			}
		})
	}
	workers.Wait()
	if first == nil {
		return ctx.Err()
	}
	return first
}

// recovered is work(i), or the error that its panic is.
func recovered(work func(i int) error, i int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.Errorf("a panic: %v", r)
		}
	}()
	return work(i)
}
