package vector

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// fuzz is one of many random calls of each engine. Its seed is the number of the call.
type fuzz struct {
	*rand.Rand
	testing.TB
	engine Engine[float32]
	memory *memory
	end    bool // arrays end just before a guard page; otherwise they begin just after one
	seed   int
}

// eachFuzz calls test many times for each engine.
func eachFuzz(t *testing.T, calls int, test func(f *fuzz)) {
	for _, e := range Engines() {
		t.Run(e.Name(), func(t *testing.T) { fuzzOne(t, e, calls, test) })
	}
}

// fuzzOne calls test many times for one engine.
func fuzzOne(t *testing.T, e Engine[float32], calls int, test func(f *fuzz)) {
	m := &memory{TB: t}
	for seed := range calls {
		m.used = 0
		test(&fuzz{rand.New(rand.NewPCG(1, uint64(seed))), t, e, m, seed%2 == 0, seed})
	}
}

// length returns the length of a short array, often a multiple of that of a vector.
func (f *fuzz) length() int {
	switch f.IntN(4) {
	case 0:
		return f.IntN(10)
	case 1:
		return 8 * f.IntN(40)
	}
	return f.IntN(300)
}

// quarters returns n small multiples of 1/4, many of them equal, whose products and sums
// are exact.
func (f *fuzz) quarters(n int) []float32 {
	x := array[float32](f, n)
	for i := range x {
		x[i] = float32(f.IntN(17)-8) / 4
	}
	return x
}

// special is quarters with, in half of the calls, some NaN, infinities and negative zeros.
func (f *fuzz) special(n int) []float32 {
	x := f.quarters(n)
	if f.seed/2%2 == 0 {
		return x
	}
	for i := range x {
		if f.IntN(10) == 0 {
			x[i] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.Copysign(0, -1))}[f.IntN(4)]
		}
	}
	return x
}

// array returns n elements next to a guard page.
func array[E any](f *fuzz, n int) []E {
	var element E
	return unsafe.Slice((*E)(unsafe.Pointer(unsafe.SliceData(f.memory.take(n*int(unsafe.Sizeof(element)), f.end)))), n)
}

// memory is a list of pieces of memory between guard pages.
type memory struct {
	testing.TB
	pieces [][]byte
	used   int
}

func (m *memory) take(size int, end bool) []byte {
	const most = 1 << 20
	if size > most {
		m.Fatalf("found a request for %d bytes, expected at most %d", size, most)
	}
	if m.used == len(m.pieces) {
		m.pieces = append(m.pieces, guarded(m, most))
	}
	piece := m.pieces[m.used]
	m.used++
	if end {
		return piece[most-size:]
	}
	return piece[:size:size]
}

func isNaN(x float32) bool { return x != x }

// same reports whether two numbers are equal, or both NaN.
func same(x, y float32) bool { return x == y || isNaN(x) && isNaN(y) }

// want fails the test unless an array has the elements that element returns.
func (f *fuzz) want(what string, got []float32, element func(i int) float64) {
	f.Helper()
	for i, v := range got {
		if want := float32(element(i)); !same(v, want) {
			f.Fatalf("call %d: %s: element %d of %d: found %v, expected %v", f.seed, what, i, len(got), v, want)
		}
	}
}
