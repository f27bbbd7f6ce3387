package vector

import (
	"math"
	"slices"
	"testing"
)

// elementwise lists the loops over elements: call writes to y, which has old values, and
// want returns the expected new value of an element.
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
				switch f.IntN(3) { // the result may overwrite an argument
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

// Prefetch reads inside of the array only, and changes nothing.
func TestPrefetch(t *testing.T) {
	eachFuzz(t, 500, func(f *fuzz) {
		x := f.quarters(f.length())
		before := slices.Clone(x)
		f.engine.Prefetch(x)
		if !slices.Equal(x, before) {
			f.Fatalf("call %d: %d elements were changed", f.seed, len(x))
		}
	})
}

// sums lists the sums over arrays, with the term of each element.
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

func TestDotRows(t *testing.T) {
	eachFuzz(t, 1000, func(f *fuzz) {
		rows, n := f.IntN(11), f.length()
		x, all, y := f.quarters(n), f.quarters(rows*n), f.quarters(rows)
		f.engine.DotRows(y, x, all)
		for i := range y {
			var want float32
			for k, v := range x {
				want += v * all[i*n+k]
			}
			if y[i] != want {
				f.Fatalf("call %d: row %d of %d with %d elements: found %v, expected %v", f.seed, i, rows, n, y[i], want)
			}
		}
	})
}

// The rounding error must not grow with the number of elements, except in Dot.
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

func TestTranspose(t *testing.T) {
	eachFuzz(t, 3000, func(f *fuzz) {
		rows, columns := 1+f.IntN(70), 1+f.IntN(70)
		xStride, yStride := columns+f.IntN(5), rows+f.IntN(5)
		x := f.quarters((rows-1)*xStride + columns)
		y := f.quarters((columns-1)*yStride + rows)
		before := append([]float32(nil), y...)
		f.engine.Transpose(y, yStride, x, xStride, rows, columns)
		f.want("y", y, func(i int) float64 {
			if column, row := i/yStride, i%yStride; row < rows {
				return float64(x[row*xStride+column])
			}
			return float64(before[i])
		})
	})
}

// number is a float32 result and the expected value in double precision.
type number struct {
	got  float32
	want float64
}

// near fails the test unless a number is as expected up to a few roundings of terms of the
// given size.
func (f *fuzz) near(what string, i int, x number, size float64) {
	f.Helper()
	if !same(x.got, float32(x.want)) && !(math.Abs(float64(x.got)-x.want) <= 8*0x1p-24*size) {
		f.Fatalf("call %d: %s: element %d: found %v, expected %v", f.seed, what, i, x.got, x.want)
	}
}

func TestAdam(t *testing.T) {
	eachFuzz(t, 2000, func(f *fuzz) {
		n := f.length()
		weight, gradient, first, second := f.special(n), f.special(n), f.special(n), f.special(n)
		for i, v := range second {
			second[i] = v * v
		}
		factors := AdamFactors[float32]{Scale: 0.5, Keep: 1, Beta1: 0.875, Rest1: 0.125, Beta2: 0.75, Rest2: 0.25, Rate: 0.5, Root: 2, Epsilon: 0.125}
		if f.IntN(2) == 0 {
			factors.Penalty, factors.Keep = 0.25, 0.75
		}
		old := [][]float32{slices.Clone(weight), slices.Clone(first), slices.Clone(second)}
		f.engine.Adam(weight, gradient, first, second, factors)
		for i := range weight {
			w, m, v := float64(old[0][i]), float64(old[1][i]), float64(old[2][i])
			g := 0.5*float64(gradient[i]) + float64(factors.Penalty)*w
			m, v = 0.875*m+0.125*g, 0.75*v+0.25*g*g
			f.near("first", i, number{first[i], m}, 4)
			f.near("second", i, number{second[i], v}, 4)
			w = float64(factors.Keep)*w - 0.5*m/(2*math.Sqrt(v)+0.125)
			f.near("weight", i, number{weight[i], w}, 8)
		}
	})
}

func TestMomentum(t *testing.T) {
	eachFuzz(t, 2000, func(f *fuzz) {
		n := f.length()
		weight, gradient, velocity := f.special(n), f.special(n), f.special(n)
		factors := MomentumFactors[float32]{Scale: 0.5, Rate: 0.25, Momentum: 0.875, Penalty: 0.125, Nesterov: f.IntN(2) == 0}
		old, speed := slices.Clone(weight), slices.Clone(velocity)
		f.engine.Momentum(weight, gradient, velocity, factors)
		for i := range weight {
			w := float64(old[i])
			descent := 0.25 * (0.5*float64(gradient[i]) + 0.125*w)
			v := 0.875*float64(speed[i]) - descent
			f.near("velocity", i, number{velocity[i], v}, 4)
			if factors.Nesterov {
				v = 0.875*v - descent
			}
			f.near("weight", i, number{weight[i], w + v}, 4)
		}
	})
}

func TestChannels(t *testing.T) {
	eachFuzz(t, 4000, func(f *fuzz) {
		rows, channels := f.IntN(12), 1+f.length()
		n := rows * channels
		x, dy := f.special(n), f.special(n)
		mean, scale, shift, along := f.quarters(channels), f.quarters(channels), f.quarters(channels), f.quarters(channels)
		from, slope := slices.Clone(x), slices.Clone(dy)
		to := f.quarters(n)
		switch f.IntN(3) {
		case 0:
			to = x
		case 1:
			to = dy
		}
		clip := Clip(f.IntN(3))
		at := func(array []float32, i int) float64 { return float64(array[i]) }
		switch f.IntN(6) {
		case 0:
			f.engine.Normalize(to, x, mean, scale, shift)
			f.want("Normalize", to, func(i int) float64 {
				c := i % channels
				return (at(from, i)-at(mean, c))*at(scale, c) + at(shift, c)
			})
		case 1:
			f.engine.Center(to, x, dy, mean, scale, along, shift)
			f.want("Center", to, func(i int) float64 {
				c := i % channels
				return at(scale, c) * (at(slope, i) - at(shift, c) - (at(from, i)-at(mean, c))*at(along, c))
			})
		case 2:
			f.engine.Center(to, x, nil, mean, scale, along, shift)
			f.want("Center alone", to, func(i int) float64 {
				c := i % channels
				return at(scale, c) * (0 - at(shift, c) - (at(from, i)-at(mean, c))*at(along, c))
			})
		case 3:
			f.engine.ScaleChannels(to, dy, scale)
			f.want("ScaleChannels", to, func(i int) float64 { return at(slope, i) * at(scale, i%channels) })
		case 4:
			f.engine.NormalizeClipped(clip, to, x, scale, shift)
			f.want("NormalizeClipped", to, func(i int) float64 {
				return clipped(clip, at(from, i)*at(scale, i%channels)+at(shift, i%channels))
			})
		case 5:
			offset := f.quarters(channels)
			f.engine.CenterClipped(clip, to, x, dy, mean, scale, offset, along, shift)
			f.want("CenterClipped", to, func(i int) float64 {
				c := i % channels
				g := clippedSlope(clip, at(from, i)*at(scale, c)+at(offset, c), at(slope, i))
				return at(scale, c)*(0-at(shift, c)-(at(from, i)-at(mean, c))*at(along, c)) + at(scale, c)*g
			})
		}
	})
}

// clipped is the value of a clip, and clippedSlope its gradient.
func clipped(clip Clip, v float64) float64 {
	switch {
	case clip != NoClip && v <= 0:
		return 0
	case clip == ClipSix && v >= 6:
		return 6
	}
	return v
}

func clippedSlope(clip Clip, y, dy float64) float64 {
	if clip != NoClip && y <= 0 || clip == ClipSix && y >= 6 {
		return 0
	}
	return dy
}

func TestSums(t *testing.T) {
	eachFuzz(t, 4000, func(f *fuzz) {
		rows, channels := f.IntN(12), 1+f.length()
		x, dy, mean := f.special(rows*channels), f.special(rows*channels), f.quarters(channels)
		scale, shift := f.quarters(channels), f.quarters(channels)
		sum := array[float64](f, 2*channels)
		for i := range sum {
			sum[i] = float64(i)
		}
		want := slices.Clone(sum)
		kind, clip := f.IntN(5), Clip(f.IntN(3))
		for i, v := range x {
			c := i % channels
			difference, slope := float64(v)-float64(mean[c]), float64(dy[i])
			switch kind {
			case 0:
				want[c] += float64(v)
			case 1:
				want[c] += difference * difference
			case 2:
				want[c] += slope * difference
				want[channels+c] += slope
			case 3:
				slope = clippedSlope(clip, float64(v)*float64(scale[c])+float64(shift[c]), slope)
				want[c] += slope * difference
				want[channels+c] += slope
			case 4:
				want[c] += float64(v)
				want[channels+c] += difference * difference
			}
		}
		switch kind {
		case 0:
			f.engine.SumRows(sum[:channels], x)
		case 1:
			f.engine.SumSquares(sum[:channels], x, mean)
		case 2:
			f.engine.SumProducts(sum, x, dy, mean)
		case 3:
			f.engine.SumClipped(clip, sum, x, dy, mean, scale, shift)
		case 4:
			f.engine.SumMoments(sum, x, mean)
		}
		for i, v := range sum {
			if v != want[i] && (v == v || want[i] == want[i]) {
				f.Fatalf("call %d: sum %d, element %d of %d rows of %d: found %v, expected %v", f.seed, kind, i, rows, channels, v, want[i])
			}
		}
	})
}
