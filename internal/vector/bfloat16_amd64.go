package vector

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// pairSet is AVX-512 with the extension BF16.
type pairSet struct{ *Set }

// Pairs returns the engine of pairs of the instruction set in use, and whether its products are faster
// than those of float32; nil if the set has none.
//
// That is a property of the processor and not measured when a program starts, so that results do
// not change from one start to the next: AMD's processors from Zen 4 on multiply twice as many numbers per
// second in this way (AMD, Software Optimization Guide for the Zen 4 Microarchitecture), and those of
// Intel that were measured half as many.
func Pairs() (engine PairEngine, faster bool) {
	if For[float32]() != Engine[float32](avx512) || !cpu.X86.HasAVX512BF16 {
		return nil, false
	}
	return pairSet{avx512}, vendor() == "AuthenticAMD"
}

// roundsAsEmulated reports whether products of pairs have the bits of EmulatedPairs.
func roundsAsEmulated() bool { return vendor() == "GenuineIntel" }

// vendor returns the manufacturer of the processor.
func vendor() string {
	_, b, c, d := cpuid(0, 0)
	words := [3]uint32{b, d, c}
	return string((*[12]byte)(unsafe.Pointer(&words))[:])
}

// Rows computes a product of rows and packed columns.
func (s pairSet) Rows(r *Rows[float32]) { s.rowsWith(r, rows_avx512bf16) }

// Outer computes a sum of outer products.
func (s pairSet) Outer(o *Outer[float32]) { s.outerWith(o, outer_avx512bf16) }

// PairNeighbors writes pairs of neighboring elements.
func (s pairSet) PairNeighbors(y, x []float32) {
	const block = 32
	blocks := len(x) / block
	if blocks > 0 {
		s.pairNeighbors(pointer(y, (len(x)+1)/2), &x[0], blocks)
	}
	pairNeighbors(y[blocks*block/2:], x[blocks*block:])
}

// PairLists writes pairs of elements of two lists.
func (s pairSet) PairLists(y, x0, x1 []float32) {
	if x1 == nil {
		pairLists(y, x0, nil)
		return
	}
	n := len(x0)
	s.pairLists(pointer(y, n), unsafe.SliceData(x0), pointer(x1, n), n)
}

// MultiplyAdds multiplies and adds pairs in registers.
func (s pairSet) MultiplyAdds(iterations int) int {
	const perIteration, half = 24, 0x3f003f00 // a pair of 0.5
	if iterations > 0 {
		ceilingPairs(iterations, half)
	}
	return 4 * perIteration * s.lanes * iterations
}

// roundsBFloat16 rounds if there is assembly for it.
func (s *Set) roundsBFloat16(y, x []float32) bool {
	s.roundBFloat16(pointer(y, len(x)), unsafe.SliceData(x), len(x))
	return true
}

//go:noescape
func ceilingPairs(iterations int, factor uint32)

//go:noescape
func cpuid(leaf, subleaf uint32) (a, b, c, d uint32)
