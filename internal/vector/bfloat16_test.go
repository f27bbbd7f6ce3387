package vector

import (
	"math"
	"math/big"
	"slices"
	"testing"
)

// Values at the border of rounding, worked out by hand: the numbers next to 1 are 1 + 2⁻⁷ and
// 1 + 2⁻⁶.
func TestToBFloat16(t *testing.T) {
	infinite := float32(math.Inf(1))
	for _, c := range [][2]float32{
		{0, 0}, {1, 1}, {-1.5, -1.5},
		{1 + 0x1p-9, 1}, {1 + 0x1p-8, 1}, {1 + 0x1p-8 + 0x1p-23, 1 + 0x1p-7},
		{1 + 0x3p-8, 1 + 0x1p-6}, {-1 - 0x3p-8 + 0x1p-22, -1 - 0x1p-7},
		{2 - 0x1p-9, 2}, {0x1.fep127, 0x1.fep127}, {0x1.ffp127, infinite}, {math.MaxFloat32, infinite}, {-infinite, -infinite},
		{0x1p-126, 0x1p-126}, {0x1p-133, 0x1p-133},
	} {
		if got := ToBFloat16(c[0]); got != c[1] {
			t.Errorf("%v: found %v, expected %v", c[0], got, c[1])
		}
	}
	for _, bits := range []uint32{0x7f800001, 0x7fffffff, 0xff800001, 0xffffffff} {
		if got := ToBFloat16(math.Float32frombits(bits)); !isNaN(got) {
			t.Errorf("NaN %x: found %v", bits, got)
		}
	}
}

// any32 is n numbers with any bits: all orders of magnitude, infinities and NaN.
func (f *fuzz) any32(n int) []float32 {
	x := array[float32](f, n)
	for i := range x {
		if x[i] = math.Float32frombits(f.Uint32()); f.IntN(4) == 0 {
			x[i] = float32(f.NormFloat64())
		}
	}
	return x
}

func (f *fuzz) wantBits32(what string, got, want []float32) {
	f.Helper()
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && !(isNaN(got[i]) && isNaN(want[i])) {
			f.Fatalf("call %d: %s: element %d of %d: found %x, expected %x", f.seed, what, i, len(got), got[i], want[i])
		}
	}
}

func TestRoundBFloat16(t *testing.T) {
	eachFuzz(t, 500, func(f *fuzz) {
		x := f.any32(f.length())
		y, want := array[float32](f, len(x)), make([]float32, len(x))
		for i, v := range x {
			want[i] = ToBFloat16(v)
		}
		if s, ok := f.engine.(*Set); !ok || !s.roundsBFloat16(y, x) {
			RoundBFloat16(y, x)
		}
		f.wantBits32("y", y, want)
		RoundBFloat16(x, x)
		f.wantBits32("in place", x, want)
	})
}

// eachPairs calls test for the engine of pairs of the processor, and for the emulation of it.
func eachPairs(t *testing.T, calls int, test func(f *fuzz, pairs PairEngine)) {
	engines := map[string]PairEngine{"emulated": EmulatedPairs{For[float32]()}}
	if pairs, _ := Pairs(); pairs != nil {
		engines[pairs.Name()] = pairs
	}
	for name, pairs := range engines {
		t.Run(name, func(t *testing.T) { fuzzOne(t, For[float32](), calls, func(f *fuzz) { test(f, pairs) }) })
	}
}

func TestPairs(t *testing.T) {
	eachPairs(t, 150, func(f *fuzz, pairs PairEngine) {
		x := f.any32(f.length())
		n := len(x)
		other := f.any32(n)
		y, want := array[float32](f, (n+1)/2), make([]float32, (n+1)/2)
		for i := range want {
			want[i] = pair(x[2*i], append(x[:n:n], 0)[2*i+1])
		}
		pairs.PairNeighbors(y, x)
		f.wantWords("neighbors", y, want)

		y, want = array[float32](f, n), make([]float32, n)
		for i := range want {
			want[i] = pair(x[i], other[i])
		}
		pairs.PairLists(y, x, other)
		f.wantWords("lists", y, want)
		second := slices.Clone(other)
		pairs.PairLists(second, x, second)
		f.wantWords("lists in place of the second", second, want)
		for i := range want {
			want[i] = pair(x[i], 0)
		}
		pairs.PairLists(x, x, nil)
		f.wantWords("a list and zeros", x, want)
	})
}

// wantWords compares pairs, as bits except for those of NaN.
func (f *fuzz) wantWords(what string, got, want []float32) {
	f.Helper()
	for i := range got {
		a, b := unpair(got[i])
		c, d := unpair(want[i])
		f.wantBits32(what, []float32{a, b}, []float32{c, d})
	}
}

// pairsOf is n pairs, of numbers of similar magnitude or of all magnitudes; few are not finite.
func (f *fuzz) pairsOf(n int) []float32 {
	x := array[float32](f, n)
	number := func() float32 {
		switch f.seed / 2 % 3 {
		case 0:
			return float32(f.IntN(17)-8) / 4
		case 1:
			return float32(f.NormFloat64())
		}
		if f.IntN(200) == 0 {
			return math.Float32frombits(f.Uint32())
		}
		return float32(math.Ldexp(f.NormFloat64(), f.IntN(160)-80)) // products and sums may be zero or infinite
	}
	for i := range x {
		x[i] = pair(number(), number())
	}
	return x
}

// singles is n float32 numbers, in one call of three small ones.
func (f *fuzz) singles(n int) []float32 {
	x := array[float32](f, n)
	for i := range x {
		if x[i] = float32(f.NormFloat64()); f.seed/2%3 == 2 {
			x[i] *= 0x1p-120
		}
	}
	return x
}

// wantSums fails the test unless sums are those of the emulation: with the same bits, or within rounding errors for
// processors that are not Intel's, which may round in another way.
func (f *fuzz) wantSums(what string, pairs PairEngine, got, want []float32) {
	f.Helper()
	_, emulated := pairs.(EmulatedPairs)
	if emulated || roundsAsEmulated() {
		f.wantBits32(what, got, want)
		return
	}
	for i := range got {
		if f.seed/2%3 < 2 && !(math.Abs(float64(got[i]-want[i])) <= 1e-5*(30+math.Abs(float64(want[i])))) {
			f.Fatalf("call %d: %s: element %d of %d: found %v, expected %v", f.seed, what, i, len(got), got[i], want[i])
		}
	}
}

// The rounding of a sum and a product, compared with numbers of any precision.
func TestFused(t *testing.T) {
	fuzzOne(t, For[float32](), 5000, func(f *fuzz) {
		a, b := ToBFloat16(float32(f.NormFloat64())), ToBFloat16(float32(f.NormFloat64()))
		sum := float32(math.Ldexp(f.NormFloat64(), f.IntN(100)-60))
		if f.IntN(2) == 0 { // a tie, or nearly one
			sum = a * b * float32(int(1)<<f.IntN(40)) * (1 + float32(f.IntN(3))*0x1p-23)
		}
		exact := new(big.Float).SetPrec(2000).SetMode(big.ToNearestEven)
		exact.Mul(big.NewFloat(float64(a)), big.NewFloat(float64(b)))
		exact.Add(exact, new(big.Float).SetPrec(2000).SetFloat64(float64(sum)))
		if want, _ := exact.Float32(); fused(sum, a, b) != want {
			f.Fatalf("%x + %x·%x: found %x, expected %x", sum, a, b, fused(sum, a, b), want)
		}
	})
	const smallest = 0x1p-126
	for _, c := range [][4]float32{ // sum, a, b, result
		{smallest / 2, 1, smallest / 2, 0}, {smallest, 1, -smallest / 2, smallest}, {smallest, -0.5, smallest, 0}, {-smallest, 1.5, smallest, 0},
		{1, 0x1p-60, 0x1p-70, 1}, {math.MaxFloat32, 2, 0x1p127, float32(math.Inf(1))}, {0x1.fp127, -2, 0x1p127, -0x1p123},
	} {
		if got := fused(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("%x + %x·%x: found %x, expected %x", c[0], c[1], c[2], got, c[3])
		}
	}
}

// The products of pairs give the bits of the emulation.
func TestPairRows(t *testing.T) {
	eachPairs(t, 150, func(f *fuzz, pairs PairEngine) {
		lanes := pairs.Lanes()
		width := 1 + f.IntN(pairs.MaxWidth())
		r := Rows[float32]{
			Width: width, Columns: width*lanes - f.IntN(lanes), Segments: 1 + f.IntN(3), Length: 1 + f.IntN(10), Stride: f.IntN(15),
			Add: f.IntN(2) == 0, Clip: Clip(f.IntN(3)),
		}
		rows := 1 + f.IntN(16)
		r.AOffsets, r.COffsets = array[int32](f, rows), array[int32](f, rows)
		for i := range rows {
			r.AOffsets[i], r.COffsets[i] = int32(f.IntN(100)), int32(i*(r.Columns+2))
		}
		r.A = f.pairsOf(int(slices.Max(r.AOffsets)) + (r.Segments-1)*r.Stride + r.Length)
		r.B = f.pairsOf(r.Segments * r.Length * width * lanes)
		if f.IntN(2) == 0 {
			r.Initial = f.singles(r.Columns)
		}
		r.C = f.singles(int(slices.Max(r.COffsets)) + r.Columns)
		want := r
		want.C = slices.Clone(r.C)
		pairs.Rows(&r)
		EmulatedPairs{pairs}.Rows(&want)
		f.wantSums("C", pairs, r.C, want.C)
		if f.seed/2%3 > 0 {
			return
		}
		// These products and sums are exact, so that a plain sum of products is the same.
		for i, at := range r.AOffsets {
			for j := range r.Columns {
				if r.Initial != nil || r.Add || r.Clip != NoClip {
					return
				}
				var sum float32
				for s := range r.Segments {
					for k := range r.Length {
						a0, a1 := unpair(r.A[int(at)+s*r.Stride+k])
						b0, b1 := unpair(r.B[(s*r.Length+k)*width*lanes+j])
						sum += a0*b0 + a1*b1
					}
				}
				if got := r.C[int(r.COffsets[i])+j]; got != sum {
					f.Fatalf("call %d: row %d, column %d: found %v, expected %v", f.seed, i, j, got, sum)
				}
			}
		}
	})
}

func TestPairOuter(t *testing.T) {
	eachPairs(t, 150, func(f *fuzz, pairs PairEngine) {
		o := Outer[float32]{Run: 1 + f.IntN(16), Columns: 1 + f.IntN(100), Add: f.IntN(2) == 0}
		o.CStride = o.Columns + f.IntN(5)
		count := 1 + f.IntN(8)
		o.AOffsets, o.BOffsets = array[int32](f, count), array[int32](f, count)
		for p := range count {
			o.AOffsets[p], o.BOffsets[p] = int32(f.IntN(100)), int32(f.IntN(100))
		}
		o.A = f.pairsOf(int(slices.Max(o.AOffsets)) + o.Run)
		o.B = f.pairsOf(int(slices.Max(o.BOffsets)) + o.Columns)
		o.C = f.singles((o.Run-1)*o.CStride + o.Columns)
		want := o
		want.C = slices.Clone(o.C)
		pairs.Outer(&o)
		EmulatedPairs{pairs}.Outer(&want)
		f.wantSums("C", pairs, o.C, want.C)
		if f.seed/2%3 > 0 || o.Add {
			return
		}
		for i := range o.Run {
			for j := range o.Columns {
				var sum float32
				for p := range count {
					a0, a1 := unpair(o.A[int(o.AOffsets[p])+i])
					b0, b1 := unpair(o.B[int(o.BOffsets[p])+j])
					sum += a0*b0 + a1*b1
				}
				if got := o.C[i*o.CStride+j]; got != sum {
					f.Fatalf("call %d: row %d, column %d: found %v, expected %v", f.seed, i, j, got, sum)
				}
			}
		}
	})
}

func TestPairCeiling(t *testing.T) {
	if pairs, _ := Pairs(); pairs != nil {
		if one := pairs.MultiplyAdds(1); pairs.MultiplyAdds(3) != 3*one || one != 2*For[float32]().MultiplyAdds(1) || pairs.MultiplyAdds(0) != 0 {
			t.Errorf("pairs: one iteration is %d operations, three are %d", one, pairs.MultiplyAdds(3))
		}
	}
}
