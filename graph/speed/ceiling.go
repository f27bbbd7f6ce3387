package speed

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/likeness-go/likeness/internal/vector"
)

// Ceiling returns the peak rate of the given number of threads, in floating-point
// operations per second, for float32 multiplications and additions in registers by the
// instructions that layers use, and the name of the instruction set. It measures for at
// least the given time and returns the best rate.
func Ceiling(threads int, atLeast time.Duration) (rate float64, instructions string) {
	e := vector.For[float32]()
	for start := time.Now(); time.Since(start) < atLeast; {
		var operations atomic.Int64
		var wait sync.WaitGroup
		begin := time.Now()
		for range threads {
			wait.Go(func() { operations.Add(int64(e.MultiplyAdds(1 << 20))) })
		}
		wait.Wait()
		rate = max(rate, float64(operations.Load())/time.Since(begin).Seconds())
	}
	return rate, e.Name()
}

// Bandwidth returns the rate at which the given number of threads read and write memory that
// no cache holds, in bytes per second: copies of 64 MiB for each thread, counted as read once
// and written once. It measures for at least the given time and returns the best rate.
func Bandwidth(threads int, atLeast time.Duration) (rate float64) {
	const each = 64 << 20
	type arrays struct{ from, to []byte }
	all := make([]arrays, max(threads, 0))
	for i := range all {
		all[i] = arrays{make([]byte, each), make([]byte, each)}
		for j := 0; j < each; j += 4096 {
			all[i].from[j] = 1 // so that each page has memory of its own
		}
		copy(all[i].to, all[i].from)
	}
	for start := time.Now(); time.Since(start) < atLeast; {
		var wait sync.WaitGroup
		begin := time.Now()
		for _, a := range all {
			wait.Go(func() { copy(a.to, a.from) })
		}
		wait.Wait()
		rate = max(rate, float64(2*each*len(all))/time.Since(begin).Seconds())
	}
	return rate
}
