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
	return peak(threads, atLeast, e.MultiplyAdds), e.Name()
}

// Peak is the peak rate of multiplications and additions of short numbers in registers.
type Peak struct {
	Numbers string  // "bfloat16" or "int8"
	Rate    float64 // operations per second: two for each product
	Used    bool    // layers compute with them where the precision is bfloat16; false for int8
}

// Peaks returns the peak rates of the given number of threads for short numbers that the instruction set
// in use multiplies: products of pairs of bfloat16 numbers that are added to float32 sums, and of
// four bytes that are added to 32-bit sums. Each is measured as Ceiling measures.
func Peaks(threads int, atLeast time.Duration) (all []Peak) {
	if pairs, faster := vector.Pairs(); pairs != nil {
		all = append(all, Peak{"bfloat16", peak(threads, atLeast, pairs.MultiplyAdds), faster})
	}
	if bytes := vector.ByteEngineOf(vector.For[float32]()); bytes != vector.ByteEngine(vector.PortableBytes{}) {
		all = append(all, Peak{"int8", peak(threads, atLeast, bytes.MultiplyAdds), false})
	}
	return all
}

// peak returns the best rate of a loop, which returns the number of its operations.
func peak(threads int, atLeast time.Duration, loop func(iterations int) int) (rate float64) {
	for start := time.Now(); time.Since(start) < atLeast; {
		var operations atomic.Int64
		var wait sync.WaitGroup
		begin := time.Now()
		for range threads {
			wait.Go(func() { operations.Add(int64(loop(1 << 20))) })
		}
		wait.Wait()
		rate = max(rate, float64(operations.Load())/time.Since(begin).Seconds())
	}
	return rate
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
