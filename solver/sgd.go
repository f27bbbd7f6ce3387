package solver

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/likeness-go/likeness/internal/vector"
)

// SGD is stochastic gradient descent with classical momentum. With the rate η,
// the momentum μ, the L2 weight λ and the gradient g,
//
//	v ← μv − η(g + 2λw)
//	w ← w + v
//
// where v begins at zero. This is the update of Koch, Zemel & Salakhutdinov
// (2015), section 3.2: the rate is inside the velocity, so that a change of rate
// leaves the velocity as it is. (PyTorch keeps v ← μv + g and takes w ← w − ηv,
// which is the same as long as the rate does not change.) The paper prints the
// L2 term as + 2λ|w| outside of the velocity, which would make weights grow;
// here it is the gradient of the λ‖w‖² in its objective.
//
// Set the fields before the first step and leave them; SetRate changes the rate.
type SGD struct {
	LearningRate float64 // η, in [0, ∞)
	Momentum     float64 // μ, in [0, 1)
	Ramp         Ramp    // brings the momentum up to μ; the zero Ramp is there at once

	// Nesterov looks ahead: w ← w + μv − η(g + 2λw), with the new v (Bengio,
	// Boulanger-Lewandowski & Pascanu 2013, equation 7; PyTorch's too).
	Nesterov bool

	L2     float64 // λ, in [0, ∞), of parameters that decay
	Clip   float64 // greatest norm over all gradients, before L2 is added; 0 for no limit
	Layers []Layer // settings of single layers

	core core
}

// Step moves the weights by their gradients.
func (s *SGD) Step(model []gorgonia.ValueGrad) error {
	if s == nil {
		return errNil
	}
	return s.core.step(model, s)
}

// SetRate sets η from the next step on.
func (s *SGD) SetLearningRate(rate float64) {
	if s != nil {
		s.LearningRate = rate
	}
}

// Progress tells of the steps taken.
func (s *SGD) Progress() Progress {
	if s == nil {
		return Progress{}
	}
	return s.core.progress(s.LearningRate)
}

// State copies the velocities ("velocity/…"), the step and the rate.
func (s *SGD) State() State {
	if s == nil {
		return nil
	}
	return s.core.state(s.LearningRate)
}

// Restore goes on from a State of an SGD with the same settings.
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
