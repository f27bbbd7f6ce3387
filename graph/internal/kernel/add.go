package kernel

import "github.com/likeness-go/likeness/internal/vector"

// addElements is how much of a sum is one unit of work.
const addElements = 64 << 10

// Add writes y += x.
func Add[T Float](y, x []T) {
	checkLength("x", x, len(y))
	e := vector.For[T]()
	Parallel(ceilDiv(len(y), addElements), func(i int) {
		first, last := i*addElements, min((i+1)*addElements, len(y))
		e.Add(y[first:last], x[first:last])
	})
}
