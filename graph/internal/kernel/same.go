package kernel

import (
	"bytes"
	"sync/atomic"
	"unsafe"
)

// sameElements are compared at a time.
const sameElements = 8 << 10

// same says whether two arrays of one length are equal, bit for bit; serial by
// one thread.
func same[T Float](x, y []T, serial bool) bool {
	if serial {
		return bytes.Equal(memory(x), memory(y))
	}
	var differ atomic.Bool
	Parallel(ceilDiv(len(x), sameElements), func(i int) {
		first, last := i*sameElements, min((i+1)*sameElements, len(x))
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
