package solver_test

import (
	"testing"

	"github.com/likeness-go/likeness/solver"
)

// The gradient is the weight itself, that of w²/2.
//
//	step  v                         w
//	1     −0.1·1            = −0.1  0.9
//	2     0.5·−0.1 − 0.09   = −0.14 0.76
//	3     0.5·−0.14 − 0.076 = −0.146 0.614
func TestSGDByHand(t *testing.T) {
	s := &solver.SGD{LearningRate: 0.1, Momentum: 0.5}
	w := newWeight("w", 1)
	for _, want := range []float64{0.9, 0.76, 0.614} {
		step(t, s, w, elements(w.value)...)
		wantNear(t, elements(w.value), []float64{want}, 1e-15)
	}
}

// As above, with w ← w + 0.5v − 0.1g:
//
//	step  v                          w
//	1     −0.1                       1 − 0.05 − 0.1 = 0.85
//	2     −0.05 − 0.085   = −0.135   0.85 − 0.0675 − 0.085 = 0.6975
//	3     −0.0675 − 0.06975 = −0.13725  0.6975 − 0.068625 − 0.06975 = 0.559125
func TestNesterovByHand(t *testing.T) {
	s := &solver.SGD{LearningRate: 0.1, Momentum: 0.5, Nesterov: true}
	w := newWeight("w", 1)
	for _, want := range []float64{0.85, 0.6975, 0.559125} {
		step(t, s, w, elements(w.value)...)
		wantNear(t, elements(w.value), []float64{want}, 1e-15)
	}
}

// Without momentum and gradient, L2 alone multiplies by 1 − 2ηλ = 0.9 a step,
// and only what decays.
func TestSGDL2ByHand(t *testing.T) {
	s := &solver.SGD{LearningRate: 0.1, L2: 0.5}
	kernel, bias := newWeight("kernel", 1), newWeight("bias", 1)
	bias.decays = false
	for _, want := range []float64{0.9, 0.81, 0.729} {
		mustStep(t, s, model(kernel, bias))
		wantNear(t, elements(kernel.value), []float64{want}, 1e-15)
		wantNear(t, elements(bias.value), []float64{1}, 0)
	}
}

// Koch's rate is inside the velocity: what is in motion keeps its speed when
// the rate drops to zero.
func TestVelocityOutlivesTheRate(t *testing.T) {
	s := &solver.SGD{LearningRate: 0.1, Momentum: 0.5}
	w := newWeight("w", 0)
	step(t, s, w, 1) // v = −0.1
	s.SetLearningRate(0)
	step(t, s, w, 1) // v = −0.05
	wantNear(t, elements(w.value), []float64{-0.15}, 1e-15)
}

// The momentum is 0.5, 0.5 | 0.7, 0.7 | 0.9 over epochs of two steps. The
// gradient is −1 in the first step and 0 after it, so that v is the product of
// the momenta so far.
func TestMomentumRampByHand(t *testing.T) {
	s := &solver.SGD{LearningRate: 1, Momentum: 0.9, Ramp: solver.Ramp{From: 0.5, Epochs: 2, EpochSteps: 2}}
	w := newWeight("w", 0)
	position, velocity := 1.0, 1.0
	step(t, s, w, -1)
	for _, momentum := range []float64{0.5, 0.7, 0.7, 0.9, 0.9} {
		step(t, s, w, 0)
		velocity *= momentum
		position += velocity
		wantNear(t, elements(w.value), []float64{position}, 1e-15)
	}
}
