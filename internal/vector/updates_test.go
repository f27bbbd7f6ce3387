package vector

import (
	"math"
	"slices"
	"testing"
)

// number is a float32 and, in double precision, what it should be.
type number struct {
	got  float32
	want float64
}

// near fails the test unless numbers are what they should be up to a few
// roundings of the size of the terms they were made of.
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
