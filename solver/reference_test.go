package solver_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/likeness-go/likeness/solver"
)

// The naive solvers: one number at a time, in double precision, straight from
// the equations.

type naiveSGD struct{ rate, momentum, l2, velocity float64 }

func (n *naiveSGD) next(w, g float64, nesterov bool) float64 {
	g += 2 * n.l2 * w
	n.velocity = n.momentum*n.velocity - n.rate*g
	if nesterov {
		return w + n.momentum*n.velocity - n.rate*g
	}
	return w + n.velocity
}

type naiveAdam struct{ rate, beta1, beta2, epsilon, l2, decay, m, v, t float64 }

func (n *naiveAdam) next(w, g float64) float64 {
	n.t++
	g += 2 * n.l2 * w
	n.m = n.beta1*n.m + (1-n.beta1)*g
	n.v = n.beta2*n.v + (1-n.beta2)*g*g
	mean := n.m / (1 - math.Pow(n.beta1, n.t))
	square := n.v / (1 - math.Pow(n.beta2, n.t))
	return w - n.rate*n.decay*w - n.rate*mean/(math.Sqrt(square)+n.epsilon)
}

var (
	numbers = rapid.Float64Range(-2, 2)
	rates   = rapid.Float64Range(1e-4, 1e-1)
	momenta = rapid.Float64Range(0.1, 0.99)
	decays  = rapid.Float64Range(0, 0.1)
)

// precision is a weight in either arithmetic and how near it must come.
type precision struct {
	name      string
	weight    func(name string, values ...float64) *weight
	tolerance float64
}

// Single precision rounds to 6e-8 of each number; ten steps through divisions
// by small second moments lose a hundredfold.
var precisions = []precision{{"float64", newWeight, 1e-12}, {"float32", newSingle, 1e-5}}

func TestSGDIsTheNaiveLoop(t *testing.T) {
	for _, p := range precisions {
		t.Run(p.name, rapid.MakeCheck(func(t *rapid.T) {
			naive := naiveSGD{rate: rates.Draw(t, "rate"), momentum: momenta.Draw(t, "momentum"), l2: decays.Draw(t, "l2")}
			nesterov := rapid.Bool().Draw(t, "nesterov")
			s := &solver.SGD{LearningRate: naive.rate, Momentum: naive.momentum, L2: naive.l2, Nesterov: nesterov}
			compare(t, s, p, func() func(w, g float64) float64 {
				own := naive
				return func(w, g float64) float64 { return own.next(w, g, nesterov) }
			})
		}))
	}
}

func TestAdamIsTheNaiveLoop(t *testing.T) {
	for _, p := range precisions {
		t.Run(p.name, rapid.MakeCheck(func(t *rapid.T) {
			naive := naiveAdam{rate: rates.Draw(t, "rate"), beta1: momenta.Draw(t, "beta1"), beta2: momenta.Draw(t, "beta2"),
				epsilon: 1e-2, l2: decays.Draw(t, "l2"), decay: decays.Draw(t, "decay")}
			s := &solver.Adam{LearningRate: naive.rate, Beta1: naive.beta1, Beta2: naive.beta2,
				Epsilon: naive.epsilon, L2: naive.l2, WeightDecay: naive.decay}
			compare(t, s, p, func() func(w, g float64) float64 {
				own := naive
				return own.next
			})
		}))
	}
}

// compare takes ten steps on five elements with drawn gradients. Every element
// has a naive solver of its own.
func compare(t *rapid.T, s solver.Solver, p precision, newNaive func() func(w, g float64) float64) {
	want := rapid.SliceOfN(numbers, 5, 5).Draw(t, "weights")
	w := p.weight("w", want...)
	naive := make([]func(w, g float64) float64, len(want))
	for i := range naive {
		naive[i] = newNaive()
	}
	for range 10 {
		gradient := rapid.SliceOfN(numbers, 5, 5).Draw(t, "gradient")
		set(w.grad, gradient...)
		if err := s.Step(model(w)); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i] = naive[i](want[i], gradient[i])
		}
		for i, got := range elements(w.value) {
			if math.Abs(got-want[i]) > p.tolerance*max(1, math.Abs(want[i])) {
				t.Fatalf("element %d: found %v, expected %v", i, got, want[i])
			}
		}
	}
}
