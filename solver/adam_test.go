package solver_test

import (
	"testing"

	"github.com/likeness-go/likeness/solver"
)

// With β₁ = β₂ = ½ and ε = 1, gradients 1, 1, −1:
//
//	step  m       v      1−½ᵗ   m̂     v̂   w
//	1     0.5     0.5    0.5    1     1   −0.1·1/(1+1) = −0.05
//	2     0.75    0.75   0.75   1     1   −0.1
//	3     −0.125  0.875  0.875  −1/7  1   −0.1 + 0.05/7
//
// An ε inside of the root would give 1/√2 in place of 1/2.
func TestAdamByHand(t *testing.T) {
	s := &solver.Adam{LearningRate: 0.1, Beta1: 0.5, Beta2: 0.5, Epsilon: 1}
	w := newWeight("w", 0)
	gradients := []float64{1, 1, -1}
	for i, want := range []float64{-0.05, -0.1, -0.1 + 0.05/7} {
		step(t, s, w, gradients[i])
		wantNear(t, elements(w.value), []float64{want}, 1e-15)
	}
}

// The first step is the rate against the gradient's sign, whatever its size:
// m̂/√v̂ = g/|g|.
func TestAdamFirstStepIsTheRate(t *testing.T) {
	s := &solver.Adam{LearningRate: 0.1}
	w := newWeight("w", 0, 0, 0)
	step(t, s, w, 1e-3, -1, 1e6)
	wantNear(t, elements(w.value), []float64{-0.1, 0.1, -0.1}, 1e-5)
}

// AdamW multiplies by 1 − ηλ′ = 0.9 before the step of TestAdamByHand, and only
// what decays.
func TestAdamWByHand(t *testing.T) {
	s := &solver.Adam{LearningRate: 0.1, Beta1: 0.5, Beta2: 0.5, Epsilon: 1, WeightDecay: 1}
	kernel, bias := newWeight("kernel", 1), newWeight("bias", 1)
	bias.decays = false
	steps := []struct{ gradient, kernel, bias float64 }{
		{1, 0.9 - 0.05, 0.95},
		{1, 0.85*0.9 - 0.05, 0.9},
		{-1, 0.715*0.9 + 0.05/7, 0.9 + 0.05/7},
	}
	for _, want := range steps {
		set(kernel.grad, want.gradient)
		set(bias.grad, want.gradient)
		mustStep(t, s, model(kernel, bias))
		wantNear(t, elements(kernel.value), []float64{want.kernel}, 1e-15)
		wantNear(t, elements(bias.value), []float64{want.bias}, 1e-15)
	}
}

// L2 goes through the moments: with a zero gradient and w = 1, g = 2λw = 1 is
// the first step of TestAdamByHand.
func TestAdamL2ByHand(t *testing.T) {
	s := &solver.Adam{LearningRate: 0.1, Beta1: 0.5, Beta2: 0.5, Epsilon: 1, L2: 0.5}
	w := newWeight("w", 1)
	step(t, s, w, 0)
	wantNear(t, elements(w.value), []float64{0.95}, 1e-15)
}
