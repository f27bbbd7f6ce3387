package kernel

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestParallelVisitsEachUnitOnce(t *testing.T) {
	defer SetThreads(Threads())
	rapid.Check(t, func(t *rapid.T) {
		SetThreads(rapid.IntRange(-1, 9).Draw(t, "threads"))
		visits := make([]atomic.Int64, rapid.IntRange(0, 20).Draw(t, "units"))
		Parallel(len(visits), func(i int) { visits[i].Add(1) })
		for i := range visits {
			if n := visits[i].Load(); n != 1 {
				t.Fatalf("unit %d was visited %d times", i, n)
			}
		}
	})
}

// Whoever calls a kernel can recover from what happens in its goroutines.
func TestParallelRaisesPanicsInTheCaller(t *testing.T) {
	defer SetThreads(Threads())
	failure := errors.New("failure")
	for threads := range 4 {
		SetThreads(threads)
		for unit := range 4 {
			func() {
				defer func() {
					if got := recover(); got != failure {
						t.Errorf("unit %d of 4 on %d threads: recovered %v, want %v", unit, threads, got, failure)
					}
				}()
				Parallel(4, func(i int) {
					if i == unit {
						panic(failure)
					}
				})
			}()
		}
	}
}

// An absurd number of threads is brought into bounds, so that no number can
// exhaust the process's threads.
func TestSetThreadsIsBounded(t *testing.T) {
	defer SetThreads(Threads())
	for n, want := range map[int]int{-5: 1, 0: 1, 1: 1, MaxThreads: MaxThreads, MaxThreads + 1: MaxThreads, 1 << 62: MaxThreads} {
		if SetThreads(n); Threads() != want {
			t.Errorf("SetThreads(%d): found %d threads, expected %d", n, Threads(), want)
		}
	}
}

// Workers and scratch memory are kept while somebody retains them, and no longer.
func TestWorkersAreKeptWhileRetained(t *testing.T) {
	defer SetThreads(Threads())
	SetThreads(9)
	used := func() (workers, spaces int) {
		parallel(9, func(w *workspace[float32], _ int) { grow(&w.values, 100) })
		idle.Lock()
		defer idle.Unlock()
		singles.Lock()
		defer singles.Unlock()
		return len(idle.workers), len(singles.idle)
	}
	before := goleak.IgnoreCurrent()
	if workers, spaces := used(); workers != 0 || spaces != 0 {
		t.Errorf("nobody retains them: found %d workers and %d workspaces", workers, spaces)
	}
	goleak.VerifyNone(t, before)
	first, second := Retain(), Retain()
	for range 2 { // twice is once
		first()
	}
	if workers, spaces := used(); workers != 8 || spaces == 0 {
		t.Errorf("somebody retains them: found %d workers and %d workspaces, expected 8 and some", workers, spaces)
	}
	second()
	if len(idle.workers) != 0 || singles.idle != nil {
		t.Errorf("nobody retains them any more: found %d workers and %d workspaces", len(idle.workers), len(singles.idle))
	}
	goleak.VerifyNone(t, before)
}

// Workers may be retained and given up while kernels are at work.
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
				Parallel(20, func(i int) { sum.Add(int64(i)) })
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
