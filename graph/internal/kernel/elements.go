package kernel

import (
	"bytes"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// stretchSize is how many elements are one unit of work, where each is on its own.
const stretchSize = 64 << 10

// Add writes y += x.
func Add[T Float](y, x []T) {
	checkLength("x", x, len(y))
	e := vector.For[T]()
	forEachStretch(len(y), func(first, last int) { e.Add(y[first:last], x[first:last]) })
}

// Copy writes y = x.
func Copy[T Float](y, x []T) {
	checkLength("x", x, len(y))
	forEachStretch(len(y), func(first, last int) { copy(y[first:last], x[first:last]) })
}

// Finite says whether all elements of x are finite numbers.
func Finite[T Float](x []T) bool {
	e := vector.For[T]()
	var found atomic.Bool
	forEachStretch(len(x), func(first, last int) {
		part := x[first:last]
		// A finite sum of squares has finite terms. The squares of finite float64 may overflow.
		if norm := e.SquaredNorm(part); !(norm <= math.MaxFloat64) && !allFinite(part) {
			found.Store(true)
		}
	})
	return !found.Load()
}

func allFinite[T Float](x []T) bool {
	for _, v := range x {
		if v-v != 0 { // as it is of NaN and ±Inf only
			return false
		}
	}
	return true
}

// forEachStretch divides elements over the threads.
func forEachStretch(elements int, work func(first, last int)) {
	parallel.For(ceilDiv(elements, stretchSize), func(i int) { work(i*stretchSize, min((i+1)*stretchSize, elements)) })
}

// ChannelsFirst reorders images x (batch, height, width, channels) to rows y
// in channel-height-width order, (batch, channels, height, width).
func ChannelsFirst[T Float](y, x []T, batch, height, width, channels int) {
	transposeAll(y, x, batch, height*width, channels)
}

// ChannelsLast reorders rows x (batch, channels, height, width) to images y
// (batch, height, width, channels). It undoes ChannelsFirst and is its
// gradient.
func ChannelsLast[T Float](y, x []T, batch, height, width, channels int) {
	transposeAll(y, x, batch, channels, height*width)
}

// transposeAll writes the transposes (columns, rows) of batch matrices
// (rows, columns).
func transposeAll[T Float](y, x []T, batch, rows, columns int) {
	size := rows * columns
	checkLength("x", x, batch*size)
	checkLength("y", y, batch*size)
	e := vector.For[T]()
	parallel.For(batch, func(i int) {
		e.Transpose(y[i*size:(i+1)*size], rows, x[i*size:(i+1)*size], columns, rows, columns)
	})
}

// compareSize are compared at a time.
const compareSize = 8 << 10

// same says whether two arrays of one length are equal, bit for bit; serial by
// one thread.
func equalBits[T Float](x, y []T, serial bool) bool {
	if serial {
		return bytes.Equal(memory(x), memory(y))
	}
	var differ atomic.Bool
	parallel.For(ceilDiv(len(x), compareSize), func(i int) {
		first, last := i*compareSize, min((i+1)*compareSize, len(x))
		if !bytes.Equal(memory(x[first:last]), memory(y[first:last])) {
			differ.Store(true)
		}
	})
	return !differ.Load()
}

// memory returns the bytes of an array.
func memory[T Float](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x)*int(unsafe.Sizeof(T(0))))
}
