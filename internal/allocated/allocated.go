// Package allocated measures the memory that a call takes, for tests that hostile
// input is refused before memory is taken for what it claims.
package allocated

import (
	"runtime/metrics"
	"testing"
)

// Limit fails the test where the call allocates more than so many bytes, whether
// or not they are given back. What other goroutines allocate meanwhile counts too.
// Beyond the limit there is a mebibyte for tables and buffers that do not grow with
// the input.
func Limit(t testing.TB, bytes int, call func()) {
	t.Helper()
	before := total()
	call()
	if found, most := total()-before, uint64(bytes)+1<<20; found > most {
		t.Errorf("%d bytes were allocated, expected at most %d", found, most)
	}
}

// total is the number of bytes that were ever allocated on the heap. Reading it
// does not stop the program, as runtime.ReadMemStats does.
func total() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
