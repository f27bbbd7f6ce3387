package solver_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/likeness-go/likeness/solver"
	"pgregory.net/rapid"
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

// The problem of benchmarks/peers/solver_reference.py, which says how
// testdata/pytorch.json came about: W and b minimize Σ‖Wx + b − y‖²/2.
var (
	inputs  = [][]float64{{0.5, -1.0, 2.0}, {1.5, 0.25, -0.5}, {-0.75, 1.25, 1.0}, {0.1, 0.2, -0.3}}
	targets = [][]float64{{1.0, -2.0}, {0.5, 0.25}, {-1.5, 1.0}, {2.0, 0.75}}
)

func leastSquares() (weights, bias *weight) {
	weights, bias = newWeight("W", 0.3, -0.2, 0.1, -0.4, 0.6, 0.05), newWeight("b", 0.5, -0.5)
	bias.decays = false
	return weights, bias
}

// setGradients: with residuals r = Wx + b − y they are Σ r xᵀ and Σ r.
func setGradients(weights, bias *weight) {
	w, b := weights.value.Float64s(), bias.value.Float64s()
	gw, gb := weights.grad.Float64s(), bias.grad.Float64s()
	clear(gw)
	clear(gb)
	for sample, x := range inputs {
		for i := range b {
			residual := b[i] - targets[sample][i]
			for j := range x {
				residual += w[3*i+j] * x[j]
			}
			for j := range x {
				gw[3*i+j] += residual * x[j]
			}
			gb[i] += residual
		}
	}
}

func TestTrajectoriesArePyTorchs(t *testing.T) {
	var reference struct {
		Source       string
		Trajectories map[string][][]float64
	}
	content, err := os.ReadFile("testdata/pytorch.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &reference); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		solver   solver.Solver
		schedule solver.Schedule
	}{
		"sgd":              {solver: &solver.SGD{LearningRate: 0.05}},
		"sgd momentum":     {solver: &solver.SGD{LearningRate: 0.03, Momentum: 0.9}},
		"sgd nesterov":     {solver: &solver.SGD{LearningRate: 0.03, Momentum: 0.9, Nesterov: true}},
		"sgd momentum l2":  {solver: &solver.SGD{LearningRate: 0.03, Momentum: 0.9, L2: 0.1}},
		"adam":             {solver: &solver.Adam{LearningRate: 0.1}},
		"adam settings":    {solver: &solver.Adam{LearningRate: 0.1, Beta1: 0.8, Beta2: 0.95, Epsilon: 1e-3}},
		"adam l2":          {solver: &solver.Adam{LearningRate: 0.1, L2: 0.1}},
		"adamw":            {solver: &solver.Adam{LearningRate: 0.1, WeightDecay: 0.1}},
		"adam exponential": {&solver.Adam{}, solver.Exponential{Initial: 0.1, Factor: 0.9}},
		"adam step":        {&solver.Adam{}, solver.Step{Initial: 0.1, Factor: 0.5, Epochs: 4}},
		"adam cosine":      {&solver.Adam{}, solver.Cosine{Initial: 0.1, Final: 0.01}},
	}
	if len(cases) != len(reference.Trajectories) {
		t.Errorf("%d cases for %d trajectories", len(cases), len(reference.Trajectories))
	}
	for name, each := range cases {
		t.Run(name, func(t *testing.T) {
			weights, bias := leastSquares()
			trajectory := reference.Trajectories[name]
			if len(trajectory) != 20 {
				t.Fatalf("found %d steps in the reference, expected 20", len(trajectory))
			}
			for i, want := range trajectory {
				setGradients(weights, bias)
				if each.schedule != nil {
					each.solver.SetLearningRate(each.schedule.LearningRate(i, len(trajectory)))
				}
				mustStep(t, each.solver, model(weights, bias))
				wantNear(t, append(elements(weights.value), elements(bias.value)...), want, 1e-12)
			}
		})
	}
}
