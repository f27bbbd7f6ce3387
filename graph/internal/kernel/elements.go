package kernel

import (
	"bytes"
	"math"
	"sync/atomic"
	"unsafe"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// chunkSize is the number of elements in one unit of work of an elementwise loop.
const chunkSize = 64 << 10

// Add writes y += x.
func Add[T Float](y, x []T) {
	checkLength("x", x, len(y))
	e := vector.For[T]()
	forEachElementChunk(len(y), func(first, last int) { e.Add(y[first:last], x[first:last]) })
}

// Copy writes y = x.
func Copy[T Float](y, x []T) {
	checkLength("x", x, len(y))
	forEachElementChunk(len(y), func(first, last int) { copy(y[first:last], x[first:last]) })
}

// Finite reports whether all elements of x are finite numbers.
func Finite[T Float](x []T) bool {
	e := vector.For[T]()
	var found atomic.Bool
	forEachElementChunk(len(x), func(first, last int) {
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
		if v-v != 0 { // true only for NaN and ±Inf
			return false
		}
	}
	return true
}

// forEachElementChunk calls work for ranges of elements, which the threads share.
func forEachElementChunk(elements int, work func(first, last int)) {
	parallel.For(ceilDiv(elements, chunkSize), func(i int) { work(i*chunkSize, min((i+1)*chunkSize, elements)) })
}

// ChannelsFirst reorders images x (batch, height, width, channels) to rows y
// in channel-height-width order, (batch, channels, height, width).
func ChannelsFirst[T Float](y, x []T, batch, height, width, channels int) {
	transposeAll(y, x, batch, height*width, channels)
}

// ChannelsLast reorders rows x (batch, channels, height, width) to images y
// (batch, height, width, channels). It is the inverse of ChannelsFirst and its
// gradient.
func ChannelsLast[T Float](y, x []T, batch, height, width, channels int) {
	transposeAll(y, x, batch, channels, height*width)
}

// transposeAll writes the transposes (batch, columns, rows) of the matrices x (batch,
// rows, columns).
func transposeAll[T Float](y, x []T, batch, rows, columns int) {
	size := rows * columns
	checkLength("x", x, batch*size)
	checkLength("y", y, batch*size)
	e := vector.For[T]()
	parallel.For(batch, func(i int) {
		e.Transpose(y[i*size:(i+1)*size], rows, x[i*size:(i+1)*size], columns, rows, columns)
	})
}

// compareSize is the number of elements compared in one unit of work.
const compareSize = 8 << 10

// equalBits reports whether two arrays of one length are equal, bit for bit; if serial,
// one thread compares them.
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
