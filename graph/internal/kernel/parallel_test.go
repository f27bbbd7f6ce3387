package kernel

import (
	"errors"
	"sync/atomic"
	"testing"

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
