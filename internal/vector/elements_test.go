package vector

import (
	"math"
	"slices"
	"testing"
)

// elementwise are the loops over elements: call writes to y, which already
// holds something, and want returns what an element becomes.
var elementwise = []struct {
	name string
	call func(e Engine[float32], y, x, z []float32, factor float32)
	want func(y, x, z, factor float64) float64
}{
	{"Add", func(e Engine[float32], y, x, _ []float32, _ float32) { e.Add(y, x) },
		func(y, x, _, _ float64) float64 { return y + x }},
	{"Scale", func(e Engine[float32], y, x, _ []float32, factor float32) { e.Scale(y, x, factor) },
		func(_, x, _, factor float64) float64 { return factor * x }},
	{"ReLU", func(e Engine[float32], y, x, _ []float32, _ float32) { e.ReLU(y, x) },
		func(_, x, _, _ float64) float64 { return math.Max(x, 0) }},
	{"ReLUGradient", func(e Engine[float32], y, x, z []float32, _ float32) { e.ReLUGradient(y, x, z) },
		func(_, x, z, _ float64) float64 {
			if x <= 0 {
				return 0
			}
			return z
		}},
	{"AddDifference", func(e Engine[float32], y, x, z []float32, factor float32) { e.AddDifference(y, x, z, factor) },
		func(y, x, z, factor float64) float64 { return y + factor*(x-z) }},
}

func TestElementwise(t *testing.T) {
	for _, each := range elementwise {
		t.Run(each.name, func(t *testing.T) {
			eachFuzz(t, 2000, func(f *fuzz) {
				n := f.length()
				y, x, z := f.special(n), f.special(n), f.special(n)
				factor := float32(f.IntN(17)-8) / 4
				before := [][]float32{slices.Clone(y), slices.Clone(x), slices.Clone(z)}
				switch f.IntN(3) { // what is written may be what is read
				case 0:
					y = x
					copy(before[0], x)
				case 1:
					if each.name != "Add" {
						y = z
						copy(before[0], z)
					}
				}
				each.call(f.engine, y, x, z, factor)
				f.want(each.name, y, func(i int) float64 {
					return each.want(float64(before[0][i]), float64(before[1][i]), float64(before[2][i]), float64(factor))
				})
			})
		})
	}
}
