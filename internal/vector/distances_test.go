package vector

import (
	"math"
	"testing"
)

// sums are the sums over arrays, and what each element adds to them.
var sums = []struct {
	name string
	call func(e Engine[float32], x, y, weight []float32) float64
	term func(x, y, weight float64) float64
}{
	{"Dot", func(e Engine[float32], x, y, _ []float32) float64 { return float64(e.Dot(x, y)) },
		func(x, y, _ float64) float64 { return x * y }},
	{"SquaredNorm", func(e Engine[float32], x, _, _ []float32) float64 { return e.SquaredNorm(x) },
		func(x, _, _ float64) float64 { return x * x }},
	{"SquaredDistance", func(e Engine[float32], x, y, _ []float32) float64 { return e.SquaredDistance(x, y) },
		func(x, y, _ float64) float64 { return (x - y) * (x - y) }},
	{"AbsoluteDistance", func(e Engine[float32], x, y, _ []float32) float64 { return e.AbsoluteDistance(x, y) },
		func(x, y, _ float64) float64 { return math.Abs(x - y) }},
	{"WeightedDistance", func(e Engine[float32], x, y, weight []float32) float64 { return e.WeightedDistance(x, y, weight) },
		func(x, y, weight float64) float64 { return weight * math.Abs(x-y) }},
}

func TestSumsOverArrays(t *testing.T) {
	for _, each := range sums {
		t.Run(each.name, func(t *testing.T) {
			eachFuzz(t, 2000, func(f *fuzz) {
				n := f.length()
				x, y, weight := f.special(n), f.special(n), f.special(n)
				var want float64
				for i := range x {
					want += each.term(float64(x[i]), float64(y[i]), float64(weight[i]))
				}
				if got := each.call(f.engine, x, y, weight); !same(float32(got), float32(want)) {
					f.Fatalf("call %d: %d elements: found %v, expected %v", f.seed, n, got, want)
				}
			})
		})
	}
}

// Rounding must not grow with the number of elements, but in Dot.
func TestPrecisionOfSums(t *testing.T) {
	for _, each := range sums {
		eachFuzz(t, 50, func(f *fuzz) {
			n := 1000 + f.IntN(20000)
			x, y, weight := array[float32](f, n), array[float32](f, n), array[float32](f, n)
			var want, size float64
			for i := range x {
				x[i], y[i], weight[i] = float32(f.NormFloat64()), float32(f.NormFloat64()), float32(f.NormFloat64())
				term := each.term(float64(x[i]), float64(y[i]), float64(weight[i]))
				want += term
				size += math.Abs(term)
			}
			bound := size * 0x1p-22
			if each.name == "Dot" {
				bound = size * float64(n) * 0x1p-24
			}
			if got := each.call(f.engine, x, y, weight); math.Abs(got-want) > bound {
				f.Fatalf("%s, call %d: %d elements: found %v, expected %v up to %v", each.name, f.seed, n, got, want, bound)
			}
			if d := f.engine.SquaredDistance(x, x) + f.engine.AbsoluteDistance(x, x) + f.engine.WeightedDistance(x, x, weight); d != 0 {
				f.Fatalf("call %d: equal arrays are %v apart", f.seed, d)
			}
		})
	}
}
