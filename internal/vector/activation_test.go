package vector

import (
	"math"
	"slices"
	"testing"
)

// activations lists the functions and their slopes in double precision.
var activations = map[Activation]struct {
	name         string
	value, slope func(x float64) float64
}{
	ReLU6: {"ReLU6", func(x float64) float64 { return math.Min(math.Max(x, 0), 6) }, func(x float64) float64 { return inside(x, 0, 6) }},
	HardSigmoid: {"HardSigmoid", func(x float64) float64 { return math.Min(math.Max(x+3, 0), 6) / 6 },
		func(x float64) float64 { return inside(x, -3, 3) / 6 }},
	HardSwish: {"HardSwish", func(x float64) float64 { return x * math.Min(math.Max(x+3, 0), 6) / 6 }, func(x float64) float64 {
		if x >= 3 {
			return 1
		}
		return inside(x, -3, 3) * (x/3 + 0.5)
	}},
	SiLU: {"SiLU", func(x float64) float64 { return x / (1 + math.Exp(-x)) }, func(x float64) float64 {
		s := 1 / (1 + math.Exp(-x))
		return s + x*s*(1-s)
	}},
	GELU: {"GELU", func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 }, func(x float64) float64 {
		return math.Erfc(-x/math.Sqrt2)/2 + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}},
}

// inside is 1 between two bounds and for NaN, and 0 outside.
func inside(x, low, high float64) float64 {
	if x <= low || x >= high {
		return 0
	}
	return 1
}

// The relative error of values and slopes is at most 12 roundings, and as many as an exponent
// of x²/2 has, where they are not below the range of single precision. The slopes have
// zeros between −3 and 0, near which the error is that of 1.
func TestActivations(t *testing.T) {
	for f, want := range activations {
		t.Run(want.name, func(t *testing.T) {
			eachFuzz(t, 1000, func(z *fuzz) {
				n := z.length()
				x, dy := array[float32](z, n), z.quarters(n)
				for i := range x {
					x[i] = float32(z.NormFloat64()) * []float32{0.1, 1, 4, 30}[z.IntN(4)]
					if z.seed%3 == 0 && z.IntN(10) == 0 {
						x[i] = []float32{float32(math.NaN()), 0, float32(math.Copysign(0, -1)), 3, -3, 6, 1e10, -1e10, 1e-40, 88, -88, 89.5, -89.5}[z.IntN(13)]
					}
				}
				before, gradient := slices.Clone(x), slices.Clone(dy)
				y, dx := array[float32](z, n), array[float32](z, n)
				switch z.IntN(3) {
				case 0:
					dx = dy
				case 1:
					dx = x
				}
				z.engine.Activate(f, y, x)
				z.engine.ActivateGradient(f, dx, x, dy)
				if z.IntN(2) == 0 {
					y = slices.Clone(before)
					z.engine.Activate(f, y, y)
				}
				for i, v := range before {
					x := float64(v)
					value, slope := want.value(x), want.slope(x)
					rounding, tiny := 12*0x1p-24, 1e-36
					if math.Abs(x) > 1 {
						rounding += min(x*x/2, 100) * 0x1p-24
					}
					if !same(y[i], float32(value)) && !(math.Abs(float64(y[i])-value) <= rounding*math.Abs(value)+tiny) {
						z.Fatalf("call %d: element %d of %d: of %v found %v, expected %v", z.seed, i, n, v, y[i], value)
					}
					g, size := float64(gradient[i]), math.Abs(slope)
					if math.Abs(x) < 3 {
						size = max(size, 1)
					}
					if !same(dx[i], float32(g*slope)) && !(math.Abs(float64(dx[i])-g*slope) <= math.Abs(g)*rounding*size+tiny) {
						z.Fatalf("call %d: element %d of %d: gradient of %v times %v: found %v, expected %v", z.seed, i, n, v, g, dx[i], g*slope)
					}
				}
			})
		})
	}
}
