package solver

import (
	"cmp"
	"math"

	"github.com/likeness-go/likeness/internal/vector"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// SGD is stochastic gradient descent with classical momentum. With the learning rate η,
// the momentum μ, the L2 weight λ and the gradient g,
//
//	v ← μv − η(g + 2λw)
//	w ← w + v
//
// where v is initially zero. This is the update of Koch, Zemel & Salakhutdinov (2015),
// section 3.2: the learning rate is inside the velocity, so a change of the learning
// rate does not change the velocity. (PyTorch computes v ← μv + g and w ← w − ηv,
// which is the same as long as the learning rate is constant.) The paper prints the L2
// term as + 2λ|w| outside of the velocity, which would make weights grow; here it is
// the gradient of the λ‖w‖² in its objective.
//
// Do not change the fields after the first step; SetLearningRate changes the learning
// rate.
type SGD struct {
	LearningRate float64 // η, in [0, ∞)
	Momentum     float64 // μ, in [0, 1)
	Ramp         Ramp    // raises the momentum to μ; the zero Ramp is constant

	// Nesterov momentum: w ← w + μv − η(g + 2λw), with the new v (Bengio,
	// Boulanger-Lewandowski & Pascanu 2013, equation 7; PyTorch's too).
	Nesterov bool

	L2     float64 // λ, in [0, ∞), of parameters that decay
	Clip   float64 // maximum norm over all gradients, before L2 is added; 0 for no limit
	Layers []Layer // settings of single layers

	core core
}

// Step updates the weights from their gradients.
func (s *SGD) Step(model []gorgonia.ValueGrad) error {
	if s == nil {
		return errNil
	}
	return s.core.step(model, s)
}

// SetLearningRate sets η from the next step on.
func (s *SGD) SetLearningRate(rate float64) {
	if s != nil {
		s.LearningRate = rate
	}
}

// Progress describes the steps taken.
func (s *SGD) Progress() Progress {
	if s == nil {
		return Progress{}
	}
	return s.core.progress(s.LearningRate)
}

// State copies the velocities ("velocity/…"), the step and the learning rate.
func (s *SGD) State() State {
	if s == nil {
		return nil
	}
	return s.core.state(s.LearningRate)
}

// Restore continues from a State of an SGD with the same settings.
func (s *SGD) Restore(state State) error {
	if s == nil {
		return errNil
	}
	rate, err := s.core.restore(state, s.kinds())
	if err == nil {
		s.LearningRate = rate
	}
	return err
}

func (s *SGD) check() error {
	if err := within(
		bound{"momentum", s.Momentum, 0, 1},
		bound{"momentum_start", s.Ramp.From, 0, 1},
		bound{"l2", s.L2, 0, math.Inf(1)},
		bound{"clip", s.Clip, 0, math.Inf(1)},
	); err != nil {
		return err
	}
	return checkLayers(s.Layers, "weight_decay", func(l Layer) *float64 { return l.WeightDecay })
}

func (s *SGD) rate() float64   { return s.LearningRate }
func (s *SGD) clip() float64   { return s.Clip }
func (s *SGD) squares() bool   { return false }
func (s *SGD) kinds() []string { return []string{"velocity"} }
func (s *SGD) layers() []Layer { return s.Layers }
func (s *SGD) defaults() setting {
	return setting{rateScale: 1, momentum: s.Momentum, l2: s.L2}
}

func (s *SGD) update(p *parameter, from, to int, scale float64) {
	rate := s.LearningRate * p.setting.rateScale
	momentum := s.Ramp.At(s.core.steps, p.setting.momentum)
	penalty := 2 * p.setting.l2
	velocity := p.moments[0]
	if p.dtype == tensor.Float32 {
		vector.For[float32]().Momentum(p.weight.Float32s()[from:to], p.gradient.Float32s()[from:to], velocity.Float32s()[from:to],
			vector.MomentumFactors[float32]{Scale: float32(scale), Rate: float32(rate), Momentum: float32(momentum), Penalty: float32(penalty), Nesterov: s.Nesterov})
		return
	}
	vector.For[float64]().Momentum(p.weight.Float64s()[from:to], p.gradient.Float64s()[from:to], velocity.Float64s()[from:to],
		vector.MomentumFactors[float64]{Scale: scale, Rate: rate, Momentum: momentum, Penalty: penalty, Nesterov: s.Nesterov})
}

// Adam is the solver of Kingma & Ba (2015), algorithm 1. With the learning rate η, the
// L2 weight λ and the gradient g, step t = 1, 2, … is
//
//	g ← g + 2λw
//	m ← β₁m + (1−β₁)g
//	v ← β₂v + (1−β₂)g²
//	w ← w − η · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε)
//
// where m and v are initially zero. ε is outside of the square root, as in the paper
// and in PyTorch.
//
// With a WeightDecay λ′ it is AdamW (Loshchilov & Hutter 2019, algorithm 2):
// w ← (1 − ηλ′)w precedes the step above, and g does not contain it. Here, as in
// PyTorch, η is the whole learning rate; the paper splits it into a schedule η_t and a
// constant α, and decays by η_t·λ′.
//
// Do not change the fields after the first step; SetLearningRate changes the learning
// rate.
type Adam struct {
	LearningRate float64 // η, in [0, ∞)
	Beta1        float64 // β₁, in [0, 1); 0 stands for 0.9
	Beta2        float64 // β₂, in [0, 1); 0 stands for 0.999
	Epsilon      float64 // ε, in [0, ∞); 0 stands for 1e-8
	L2           float64 // λ, in [0, ∞), of parameters that decay
	WeightDecay  float64 // λ′, in [0, ∞), of parameters that decay
	Clip         float64 // maximum norm over all gradients, before L2 is added; 0 for no limit
	Layers       []Layer // settings of single layers

	core core
}

// Step updates the weights from their gradients.
func (a *Adam) Step(model []gorgonia.ValueGrad) error {
	if a == nil {
		return errNil
	}
	return a.core.step(model, a)
}

// SetLearningRate sets η from the next step on.
func (a *Adam) SetLearningRate(rate float64) {
	if a != nil {
		a.LearningRate = rate
	}
}

// Progress describes the steps taken.
func (a *Adam) Progress() Progress {
	if a == nil {
		return Progress{}
	}
	return a.core.progress(a.LearningRate)
}

// State copies the moments ("first/…" for m, "second/…" for v), the step and
// the learning rate.
func (a *Adam) State() State {
	if a == nil {
		return nil
	}
	return a.core.state(a.LearningRate)
}

// Restore continues from a State of an Adam with the same settings.
func (a *Adam) Restore(state State) error {
	if a == nil {
		return errNil
	}
	rate, err := a.core.restore(state, a.kinds())
	if err == nil {
		a.LearningRate = rate
	}
	return err
}

func (a *Adam) check() error {
	if err := within(
		bound{"beta1", a.Beta1, 0, 1},
		bound{"beta2", a.Beta2, 0, 1},
		bound{"epsilon", a.Epsilon, 0, math.Inf(1)},
		bound{"l2", a.L2, 0, math.Inf(1)},
		bound{"weight_decay", a.WeightDecay, 0, math.Inf(1)},
		bound{"clip", a.Clip, 0, math.Inf(1)},
	); err != nil {
		return err
	}
	return checkLayers(a.Layers, "momentum", func(l Layer) *float64 { return l.Momentum })
}

func (a *Adam) rate() float64   { return a.LearningRate }
func (a *Adam) clip() float64   { return a.Clip }
func (a *Adam) squares() bool   { return true }
func (a *Adam) kinds() []string { return []string{"first", "second"} }
func (a *Adam) layers() []Layer { return a.Layers }
func (a *Adam) defaults() setting {
	return setting{rateScale: 1, l2: a.L2, weightDecay: a.WeightDecay}
}

// betas are β₁, β₂ and ε with their defaults.
func (a *Adam) betas() (beta1, beta2, epsilon float64) {
	return cmp.Or(a.Beta1, 0.9), cmp.Or(a.Beta2, 0.999), cmp.Or(a.Epsilon, 1e-8)
}

func (a *Adam) update(p *parameter, from, to int, scale float64) {
	var (
		rate = a.LearningRate * p.setting.rateScale
		t    = float64(a.core.steps + 1)
	)
	beta1, beta2, epsilon := a.betas()
	factors := vector.AdamFactors[float64]{
		Scale:   scale,
		Penalty: 2 * p.setting.l2,
		Keep:    1 - rate*p.setting.weightDecay,
		Beta1:   beta1, Rest1: 1 - beta1,
		Beta2: beta2, Rest2: 1 - beta2,
		Rate:    rate / (1 - math.Pow(beta1, t)),
		Root:    1 / math.Sqrt(1-math.Pow(beta2, t)),
		Epsilon: epsilon,
	}
	first, second := p.moments[0], p.moments[1]
	if p.dtype == tensor.Float32 {
		vector.For[float32]().Adam(p.weight.Float32s()[from:to], p.gradient.Float32s()[from:to],
			first.Float32s()[from:to], second.Float32s()[from:to], single(factors))
		return
	}
	vector.For[float64]().Adam(p.weight.Float64s()[from:to], p.gradient.Float64s()[from:to],
		first.Float64s()[from:to], second.Float64s()[from:to], factors)
}

// single rounds factors that were computed in float64: 1 − β₂ of a rounded β₂ would
// have a relative error of 1e-5.
func single(f vector.AdamFactors[float64]) vector.AdamFactors[float32] {
	return vector.AdamFactors[float32]{
		Scale: float32(f.Scale), Penalty: float32(f.Penalty), Keep: float32(f.Keep),
		Beta1: float32(f.Beta1), Rest1: float32(f.Rest1),
		Beta2: float32(f.Beta2), Rest2: float32(f.Rest2),
		Rate: float32(f.Rate), Root: float32(f.Root), Epsilon: float32(f.Epsilon),
	}
}
