package parallel

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestForVisitsEachIndexOnce(t *testing.T) {
	defer SetThreads(Threads())
	rapid.Check(t, func(t *rapid.T) {
		SetThreads(rapid.IntRange(-1, 9).Draw(t, "threads"))
		visits := make([]atomic.Int64, rapid.IntRange(0, 20).Draw(t, "n"))
		For(len(visits), func(i int) { visits[i].Add(1) })
		for i := range visits {
			if n := visits[i].Load(); n != 1 {
				t.Fatalf("index %d was visited %d times, expected once", i, n)
			}
		}
	})
}

// No more than the thread limit run at the same time, and no two with the same number.
func TestForWorkersKeepsTheLimit(t *testing.T) {
	defer SetThreads(Threads())
	for limit := 1; limit <= 5; limit++ {
		SetThreads(limit)
		var running, largest atomic.Int64
		inUse := make([]atomic.Bool, limit)
		ForWorkers(Threads(), 200, func(worker, _ int) {
			if inUse[worker].Swap(true) {
				t.Errorf("limit %d: two calls of worker %d overlap", limit, worker)
			}
			storeMax(&largest, running.Add(1))
			running.Add(-1)
			inUse[worker].Store(false)
		})
		if got := largest.Load(); got > int64(limit) {
			t.Errorf("found %d calls at the same time, expected at most %d", got, limit)
		}
	}
}

// storeMax sets largest to the larger of it and n.
func storeMax(largest *atomic.Int64, n int64) {
	for before := largest.Load(); n > before && !largest.CompareAndSwap(before, n); before = largest.Load() {
	}
}

// The caller of a kernel can recover from a panic in its goroutines.
func TestForRaisesPanicsInTheCaller(t *testing.T) {
	defer SetThreads(Threads())
	failure := errors.New("failure")
	for threads := range 4 {
		SetThreads(threads)
		for index := range 4 {
			func() {
				defer func() {
					if got, ok := recover().(error); !ok || !errors.Is(got, failure) {
						t.Errorf("index %d of 4 on %d threads: recovered %v, expected %v", index, threads, got, failure)
					}
				}()
				For(4, func(i int) {
					if i == index {
						panic(failure)
					}
				})
			}()
		}
	}
}

// A number out of bounds is replaced by the nearest bound, so that no number can
// exhaust the threads of the process.
func TestSetThreadsIsBounded(t *testing.T) {
	defer SetThreads(Threads())
	for n, want := range map[int]int{-5: 1, 0: 1, 1: 1, MaxThreads: MaxThreads, MaxThreads + 1: MaxThreads, 1 << 62: MaxThreads} {
		if SetThreads(n); Threads() != want {
			t.Errorf("SetThreads(%d): found %d threads, expected %d", n, Threads(), want)
		}
	}
}

// Workers are kept while somebody retains the pool, and no longer.
func TestWorkersAreKeptWhileRetained(t *testing.T) {
	defer SetThreads(Threads())
	SetThreads(9)
	kept := func() int {
		For(9, func(int) {})
		idle.Lock()
		defer idle.Unlock()
		return len(idle.workers)
	}
	before := goleak.IgnoreCurrent()
	if n := kept(); n != 0 {
		t.Errorf("not retained: found %d idle workers, expected none", n)
	}
	goleak.VerifyNone(t, before)
	first, second := Retain(), Retain()
	for range 2 { // the second call has no effect
		first()
	}
	if n := kept(); n != 8 {
		t.Errorf("retained: found %d idle workers, expected 8", n)
	}
	second()
	if n := len(idle.workers); n != 0 {
		t.Errorf("no longer retained: found %d idle workers, expected none", n)
	}
	goleak.VerifyNone(t, before)
}

// The pool may be retained and released while jobs run.
func TestRetainWhileWorking(t *testing.T) {
	defer SetThreads(Threads())
	SetThreads(4)
	before := goleak.IgnoreCurrent()
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() {
			for range 50 {
				release := Retain()
				var sum atomic.Int64
				For(20, func(i int) { sum.Add(int64(i)) })
				release()
				if sum.Load() != 190 {
					t.Errorf("found the sum %d, expected 190", sum.Load())
				}
			}
		})
	}
	users.Wait()
	goleak.VerifyNone(t, before)
}
