package vector

import (
	"math"
)

// A bfloat16 number has the sign, the exponent and the first 7 bits of the fraction of a float32
// number, so it is a float32 number whose lower 16 bits are zero. Its relative rounding error is at
// most 2⁻⁸.
//
// A pair is two of them in a word of 32 bits, the first in the lower half, and takes the place of
// a float32 number in an array. A pair is not a number; it is only copied, and multiplied by the
// Rows and Outer of a PairEngine.

// PairEngine is an engine whose Rows and Outer have pairs as the elements of A and B: each product
// is the sum of the products of the first and of the second numbers of two pairs, in float32. The
// rest, with sums, Initial and C in float32, is as in Engine.
//
// The second product is added before the first, each with one rounding to nearest even, and
// numbers and sums below 2⁻¹²⁶ are zero: so Intel's manual (volume 2) defines the instruction
// VDPBF16PS, and EmulatedPairs gives the same bits as Intel's processors. Those of other
// manufacturers may round in another way.
type PairEngine interface {
	Engine[float32]
	// PairNeighbors writes to y the pairs of x[2i] and x[2i+1], rounded to bfloat16; if their number is odd,
	// the last is paired with zero. y has half as many elements.
	PairNeighbors(y, x []float32)
	// PairLists writes to y the pairs of x0[i] and x1[i]. y may be x0 or x1. A nil x1 is
	// zero.
	PairLists(y, x0, x1 []float32)
}

// ToBFloat16 rounds x to the nearest bfloat16 number, and to the one with an even last bit if two
// are equally near. NaN is NaN, and numbers beyond the largest one are infinite.
func ToBFloat16(x float32) float32 {
	const half, quiet = 16, 1 << 22
	bits := math.Float32bits(x)
	if x != x {
		bits |= quiet
	} else {
		bits += 1<<(half-1) - 1 + bits>>half&1
	}
	return math.Float32frombits(bits >> half << half)
}

// RoundBFloat16 writes y = ToBFloat16(x), element by element. y may be x.
func RoundBFloat16(y, x []float32) {
	if s, ok := For[float32]().(*Set); ok && s.roundsBFloat16(y, x) {
		return
	}
	for i, v := range x {
		y[i] = ToBFloat16(v)
	}
}

// pair returns a pair of numbers, rounded.
func pair(first, second float32) float32 {
	return math.Float32frombits(math.Float32bits(ToBFloat16(first))>>16 | math.Float32bits(ToBFloat16(second)))
}

// unpair returns the numbers of a pair.
func unpair(p float32) (first, second float32) {
	bits := math.Float32bits(p)
	return math.Float32frombits(bits << 16), math.Float32frombits(bits >> 16 << 16)
}

// EmulatedPairs computes with pairs in plain Go, exactly as VDPBF16PS does. It is the reference, and
// an engine of the same tiles where there is no such instruction.
type EmulatedPairs struct{ Engine[float32] }

// PairNeighbors writes pairs of neighboring elements.
func (EmulatedPairs) PairNeighbors(y, x []float32) { pairNeighbors(y, x) }

func pairNeighbors(y, x []float32) {
	last := len(x) / 2
	for i := range last {
		y[i] = pair(x[2*i], x[2*i+1])
	}
	if len(x)%2 > 0 {
		y[last] = pair(x[2*last], 0)
	}
}

// PairLists writes pairs of elements of two lists.
func (EmulatedPairs) PairLists(y, x0, x1 []float32) { pairLists(y, x0, x1) }

func pairLists(y, x0, x1 []float32) {
	for i, first := range x0 {
		second := float32(0)
		if x1 != nil {
			second = x1[i]
		}
		y[i] = pair(first, second)
	}
}

// Rows computes a product of rows and packed columns.
func (e EmulatedPairs) Rows(r *Rows[float32]) {
	wide := r.Width * e.Lanes()
	for i, at := range r.AOffsets {
		to := r.C[r.COffsets[i]:][:r.Columns]
		for j := range to {
			var sum float32
			if r.Initial != nil {
				sum = r.Initial[j]
			}
			for s := range r.Segments {
				for k := range r.Length {
					sum = addPair(sum, r.A[int(at)+s*r.Stride+k], r.B[(s*r.Length+k)*wide+j])
				}
			}
			if r.Add {
				sum += to[j]
			}
			to[j] = sum
		}
		ApplyClip(r.Clip, to)
	}
}

// Outer computes a sum of outer products.
func (EmulatedPairs) Outer(o *Outer[float32]) {
	for i := range o.Run {
		for j, old := range o.C[i*o.CStride:][:o.Columns] {
			var sum float32
			for p, at := range o.AOffsets {
				sum = addPair(sum, o.A[int(at)+i], o.B[int(o.BOffsets[p])+j])
			}
			if o.Add {
				sum += old
			}
			o.C[i*o.CStride+j] = sum
		}
	}
}

// addPair adds the products of two pairs to a sum.
func addPair(sum, a, b float32) float32 {
	a0, a1 := unpair(a)
	b0, b1 := unpair(b)
	return fused(fused(sum, a1, b1), a0, b0)
}

// fused returns sum + a·b with one rounding, for bfloat16 numbers a and b. Numbers below the
// smallest normal one are zero.
func fused(sum, a, b float32) float32 {
	// A product of two such numbers is exact in float64. A sum of two float64 numbers that is rounded to an odd last
	// bit unless it is exact can be rounded again, to float32, as if that were the only rounding
	// (Boldo and Melquiond, Emulation of FMA and correctly rounded sums, 2008).
	x, y := float64(flushed(sum)), float64(flushed(a))*float64(flushed(b))
	z := x + y
	back := z - x
	rest := (x - (z - back)) + (y - back) // the rounding error of z (Knuth's two-sum)
	if bits := math.Float64bits(z); rest != 0 && bits&1 == 0 && !math.IsInf(z, 0) {
		if (rest > 0) == (z > 0) {
			bits++
		} else {
			bits--
		}
		z = math.Float64frombits(bits)
	}
	return flushed(float32(z))
}

// flushed returns x, or zero of the same sign if x is below the smallest normal number.
func flushed(x float32) float32 {
	const smallest = 0x1p-126
	if x > -smallest && x < smallest {
		return float32(math.Copysign(0, float64(x)))
	}
	return x
}
