package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// worker is a goroutine of the thread pool. While the pool is retained it outlives
// the calls of ForWorkers: a training step makes some hundred calls, tens of
// microseconds apart, and a worker that has finished polls for the next job for about
// as long before it sleeps, because waking it takes longer than many kernels do.
type worker struct {
	state atomic.Int32
	wake  chan struct{}
	job   *job // nil tells the worker to end
	share int  // index of the share of the job to begin with
}

// The states of a worker: it polls for a job, sleeps until it is woken, or has a job.
const (
	polling int32 = iota
	sleeping
	busy
)

// maxSpins is how many times a worker polls for a job, and a caller for the end of
// its job, before it sleeps: about a tenth of a millisecond.
const maxSpins = 100000

// idle holds the workers that have no job. It is empty unless the pool is retained.
var idle struct {
	sync.Mutex
	workers []*worker
}

// retained is the number of users that retain the pool.
var retained atomic.Int64

// Retain keeps the workers from call to call until release is called; calling release
// more than once has no further effect. When the pool is not retained, the idle workers
// end, and each call of For starts goroutines of its own, which end with it.
func Retain() (release func()) {
	retained.Add(1)
	return sync.OnceFunc(endIdle)
}

// endIdle ends the idle workers if the pool is not retained.
func endIdle() {
	if retained.Add(-1) > 0 {
		return
	}
	// Workers that are released from now on end at once; those released before are
	// in the list.
	idle.Lock()
	ended := idle.workers
	idle.workers = nil
	idle.Unlock()
	end(ended)
}

// end ends workers that no job has.
func end(workers []*worker) {
	for _, w := range workers {
		w.start(nil, 0)
	}
}

// acquire takes n idle workers, and starts new ones if there are too few.
func acquire(n int) []*worker {
	idle.Lock()
	defer idle.Unlock()
	acquired := make([]*worker, 0, n)
	for range n {
		last := len(idle.workers) - 1
		if last < 0 {
			w := &worker{wake: make(chan struct{}, 1)}
			go w.loop()
			acquired = append(acquired, w)
			continue
		}
		acquired = append(acquired, idle.workers[last])
		idle.workers = idle.workers[:last]
	}
	return acquired
}

// release makes workers idle, or ends them if the pool is not retained.
func release(workers []*worker) {
	idle.Lock()
	defer idle.Unlock()
	if retained.Load() > 0 {
		idle.workers = append(idle.workers, workers...)
	} else {
		end(workers)
	}
}

// start gives an idle worker a share of a job.
func (w *worker) start(j *job, share int) {
	w.job, w.share = j, share
	if w.state.Swap(busy) == sleeping {
		w.wake <- struct{}{}
	}
}

// loop runs jobs until the worker is ended.
func (w *worker) loop() {
	for {
		w.await()
		j := w.job
		if j == nil {
			return
		}
		j.run(w.share)
		w.job = nil
		w.state.Store(polling)
		j.pending.Add(-1)
		j.waiting.Done()
	}
}

// await returns when the worker has a job.
func (w *worker) await() {
	for i := range maxSpins {
		if w.state.Load() == busy {
			return
		}
		if i%256 == 255 {
			runtime.Gosched() // other goroutines may have work for this processor
		}
	}
	if w.state.CompareAndSwap(polling, sleeping) {
		<-w.wake
	}
}
