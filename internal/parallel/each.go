package parallel

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
)

// MaxOpenFiles is the limit of Each for work that opens a file, so that a process
// with many threads stays below the limits of operating systems, 256 open files and
// more.
const MaxOpenFiles = 64

// Each calls work(0) … work(n−1) and returns when no call is running any more. At
// most limit calls run at the same time, and never more than Threads(); a limit below
// 1 means Threads().
//
// The error is that of the lowest index whose call failed, for any number of threads:
// indices are started in increasing order, and none above a failed index is started.
// It is nil if all calls succeeded. When ctx ends, no more calls are started, and the
// error is that of ctx unless a call failed. A nil ctx never ends. A panic of work is
// an error, too: in a goroutine that is not the caller's it would end the process.
//
// Each does not use the pool of For: its calls may wait for a file, and the pool's
// workers take ranges of indices, so that a lower index may start after a higher one.
func Each(ctx context.Context, limit, n int, work func(i int) error) error {
	return EachProgress(ctx, limit, n, nil, work)
}

// EachProgress is Each, and calls onDone after each call that succeeds, with the number
// of calls that have ended and n. The calls of onDone do not overlap. A nil onDone
// is not called.
func EachProgress(ctx context.Context, limit, n int, onDone func(done, total int), work func(i int) error) error {
	if ctx == nil {
		ctx = context.Background()
	}
	workers := min(n, Threads())
	if limit >= 1 {
		workers = min(workers, limit)
	}
	e := each{ctx: ctx, n: n, onDone: onDone, work: work}
	e.failed.Store(int64(n))
	var helpers sync.WaitGroup
	for range workers - 1 {
		helpers.Go(e.run)
	}
	e.run()
	helpers.Wait()
	if e.err != nil {
		return e.err
	}
	return ctx.Err()
}

// each is one call of EachProgress.
type each struct {
	ctx    context.Context
	n      int
	onDone func(done, total int)
	work   func(i int) error

	next   atomic.Int64 // the next index to start
	failed atomic.Int64 // the lowest index that failed; n if none did

	mutex sync.Mutex
	done  int
	err   error // of the lowest index that failed
}

// run makes calls until none is left to start.
func (e *each) run() {
	// Indices are taken in order, so all below a failed one have been started.
	for i := e.next.Add(1) - 1; i < e.failed.Load() && e.ctx.Err() == nil; i = e.next.Add(1) - 1 {
		e.finish(int(i), call(int(i), func() error { return e.work(int(i)) }))
	}
}

// finish records the end of the call of index i.
func (e *each) finish(i int, err error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.done++; err == nil && e.onDone != nil {
		err = call(i, func() error {
			e.onDone(e.done, e.n)
			return nil
		})
	}
	if err != nil && int64(i) < e.failed.Load() {
		e.failed.Store(int64(i))
		e.err = err
	}
}

// call calls f and returns its error, or its panic as an error that names the index.
func call(i int, f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = errors.Errorf("item %d: %s", i, guard.Text(value))
		}
	}()
	return f()
}
