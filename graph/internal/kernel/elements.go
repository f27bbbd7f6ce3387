package kernel

import (
	"math"
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/vector"
)

// stretch is how many elements are one unit of work, where each is on its own.
const stretch = 64 << 10

// Add writes y += x.
func Add[T Float](y, x []T) {
	checkLength("x", x, len(y))
	e := vector.For[T]()
	stretches(len(y), func(first, last int) { e.Add(y[first:last], x[first:last]) })
}

// Copy writes y = x.
func Copy[T Float](y, x []T) {
	checkLength("x", x, len(y))
	stretches(len(y), func(first, last int) { copy(y[first:last], x[first:last]) })
}

// Finite says whether all elements of x are finite numbers.
func Finite[T Float](x []T) bool {
	e := vector.For[T]()
	var found atomic.Bool
	stretches(len(x), func(first, last int) {
		part := x[first:last]
		// A finite sum of squares has finite terms. The squares of finite float64 may overflow.
		if norm := e.SquaredNorm(part); !(norm <= math.MaxFloat64) && !eachFinite(part) {
			found.Store(true)
		}
	})
	return !found.Load()
}

func eachFinite[T Float](x []T) bool {
	for _, v := range x {
		if v-v != 0 { // as it is of NaN and ±Inf only
			return false
		}
	}
	return true
}

// stretches divides elements over the threads.
func stretches(elements int, work func(first, last int)) {
	Parallel(ceilDiv(elements, stretch), func(i int) { work(i*stretch, min((i+1)*stretch, elements)) })
}
