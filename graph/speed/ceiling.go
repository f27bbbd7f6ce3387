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
