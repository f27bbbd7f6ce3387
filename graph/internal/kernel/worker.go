package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// worker is a goroutine that outlives the calls of Parallel while somebody
// retains the workers. A step of a network has some hundred calls, tens of
// microseconds apart: a worker that is done looks out for the next one for about as
// long before it goes to sleep, as waking it takes longer than many kernels do.
type worker struct {
	state atomic.Int32
	wake  chan struct{}
	job   *job // nil to end
	share int  // of the job, to begin with
}

// A worker looks out for work, sleeps, or has some.
const (
	looking int32 = iota
	asleep
	busy
)

// patience is how often a worker looks for work, and a caller for the end of
// it, before it sleeps: about a tenth of a millisecond.
const patience = 100000

// idle are the workers that no call has. There are some only while somebody
// retains them.
var idle struct {
	sync.Mutex
	workers []*worker
}

// retained is by how many users of Retain workers and scratch memory are kept.
var retained atomic.Int64

// Retain keeps workers and scratch memory from call to call until release is
// called, which may be more than once. When nobody retains them, both are given
// up, and each call of Parallel has goroutines of its own.
func Retain() (release func()) {
	retained.Add(1)
	return sync.OnceFunc(letGo)
}

// letGo ends the idle workers if nobody else retains them.
func letGo() {
	if retained.Add(-1) > 0 {
		return
	}
	// What is given back from now on is not kept; what was before is here.
	idle.Lock()
	ended := idle.workers
	idle.workers = nil
	idle.Unlock()
	end(ended)
	singles.clear()
	doubles.clear()
}

// end ends workers, which nobody else may have.
func end(workers []*worker) {
	for _, w := range workers {
		w.start(nil, 0)
	}
}

// hire returns so many idle workers, new ones if need be.
func hire(n int) []*worker {
	idle.Lock()
	defer idle.Unlock()
	hired := make([]*worker, 0, n)
	for range n {
		last := len(idle.workers) - 1
		if last < 0 {
			w := &worker{wake: make(chan struct{}, 1)}
			go w.live()
			hired = append(hired, w)
			continue
		}
		hired = append(hired, idle.workers[last])
		idle.workers = idle.workers[:last]
	}
	return hired
}

// dismiss makes workers idle, or ends them where nobody retains them.
func dismiss(workers []*worker) {
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
	if w.state.Swap(busy) == asleep {
		w.wake <- struct{}{}
	}
}

func (w *worker) live() {
	for {
		w.await()
		j := w.job
		if j == nil {
			return
		}
		j.run(w.share)
		w.job = nil
		w.state.Store(looking)
		j.pending.Add(-1)
		j.waiting.Done()
	}
}

// await returns when there is work.
func (w *worker) await() {
	for i := range patience {
		if w.state.Load() == busy {
			return
		}
		if i%256 == 255 {
			runtime.Gosched() // others may have something better to do
		}
	}
	if w.state.CompareAndSwap(looking, asleep) {
		<-w.wake
	}
}
