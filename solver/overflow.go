package solver

import (
	"math"
	"sync"

	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

// A step must not leave a weight that is NaN or infinite: after an error the weights
// are those before the step. To copy and to check all weights in every step would
// take a twentieth of a large network's time. Instead, each step first bounds from
// above what it can come to, from the norm of the gradient, the settings and the
// bounds of the step before. Only where the bounds reach the end of the arithmetic
// are they measured anew, and only if the measured ones reach it, too, are the
// weights copied before the step and checked after it.

// magnitude bounds absolute values from above.
type magnitude struct {
	known  bool
	weight float64 // of all weights
	moment float64 // of the velocities of SGD
}

// limit is the size up to which no element of the parameters overflows, with room
// for rounding.
func (c *core) limit() float64 {
	for _, p := range c.parameters {
		if p.dtype == tensor.Float32 {
			return 1e38
		}
	}
	return 1e307
}

// safe reports whether the step at hand cannot overflow, and moves the bounds on if so.
func (c *core) safe() bool {
	gradient := c.scale * c.norm // no element is larger
	if c.size.known {
		if next, largest := c.rule.reach(c.size, gradient); largest < c.limit() {
			c.size = next
			return true
		}
	}
	c.size = c.measureSize()
	next, largest := c.rule.reach(c.size, gradient)
	next.known = largest < c.limit()
	c.size = next
	return next.known
}

// measureSize is the exact magnitude of the weights and the moments.
func (c *core) measureSize() magnitude {
	m := magnitude{known: true}
	var one sync.Mutex
	c.chunks.run(func(_, i int) {
		chunk := c.chunks.all[i]
		p := c.parameters[chunk.item]
		weight, moment := largest(p.weight, chunk), 0.
		for _, each := range p.moments {
			moment = max(moment, largest(each, chunk))
		}
		one.Lock()
		m.weight, m.moment = max(m.weight, weight), max(m.moment, moment)
		one.Unlock()
	})
	return m
}

// largest is the largest absolute value of a chunk, infinite if one is NaN.
func largest(t *tensor.Dense, c chunk) float64 {
	if t.Dtype() == tensor.Float32 {
		return largestOf(t.Float32s()[c.from:c.to])
	}
	return largestOf(t.Float64s()[c.from:c.to])
}

func largestOf[T float32 | float64](values []T) float64 {
	var found T
	for _, v := range values {
		if v != v {
			return math.Inf(1)
		}
		found = max(found, v, -v)
	}
	return float64(found)
}

// guardedUpdate is the update of a step that may overflow. After an error the weights
// and the moments are as before.
func (c *core) guardedUpdate() error {
	type copied struct{ tensor, before *tensor.Dense }
	var copies []copied
	for _, p := range c.parameters {
		for _, t := range append([]*tensor.Dense{p.weight}, p.moments...) {
			copies = append(copies, copied{t, t.Clone().(*tensor.Dense)})
		}
	}
	c.chunks.run(c.updateChunk)
	for _, p := range c.parameters {
		if math.IsInf(largest(p.weight, chunk{to: p.shape.TotalSize()}), 1) {
			for _, each := range copies {
				copyElements(each.tensor, each.before)
			}
			return errors.Wrapf(ErrNotFinite, "parameter %q: the step makes an element that is not finite", p.name)
		}
	}
	return nil
}

// settings is the largest value of each setting over all parameters.
func (c *core) settings() (s setting) {
	for _, p := range c.parameters {
		s.rateScale = max(s.rateScale, p.setting.rateScale)
		s.momentum = max(s.momentum, p.setting.momentum)
		s.l2 = max(s.l2, p.setting.l2)
		s.weightDecay = max(s.weightDecay, p.setting.weightDecay)
	}
	return s
}

// reach follows the update of SGD with absolute values.
func (s *SGD) reach(m magnitude, gradient float64) (next magnitude, largest float64) {
	setting := s.core.settings()
	rate := s.LearningRate * setting.rateScale
	momentum := max(s.Ramp.At(s.core.steps, setting.momentum), s.Ramp.At(s.core.steps, 0))
	slope := gradient + 2*setting.l2*m.weight
	velocity := momentum*m.moment + rate*slope
	next = magnitude{known: true, weight: m.weight + 2*velocity, moment: velocity}
	if s.Nesterov {
		next.weight += rate * slope
	}
	return next, greatest(rate, slope, velocity, next.weight)
}

// reach follows the update of Adam with absolute values. The ratio of the moments is
// bounded by the Cauchy–Schwarz inequality: with m = (1−β₁)Σβ₁ᵏg and
// v = (1−β₂)Σβ₂ᵏg², m²/v ≤ (1−β₁)² / ((1−β₂)(1−β₁²/β₂)) where β₁² < β₂.
func (a *Adam) reach(m magnitude, gradient float64) (next magnitude, largest float64) {
	setting := a.core.settings()
	beta1, beta2, epsilon := a.betas()
	rate := a.LearningRate * setting.rateScale
	t := float64(a.core.steps + 1)
	factor := rate / (1 - math.Pow(beta1, t))
	slope := gradient + 2*setting.l2*m.weight
	square := math.Sqrt(math.MaxFloat32) // the most that checkSquares lets a gradient be
	narrow := a.core.limit() < 1e100
	if !narrow {
		square = math.Sqrt(math.MaxFloat64)
	}
	ratio := math.Inf(1)
	if beta1*beta1 < beta2 && (!narrow || float32(epsilon) > 0) {
		ratio = 2 * (1 - beta1) / math.Sqrt((1-beta2)*(1-beta1*beta1/beta2))
		// Gradients whose squares are lost in v count against ε alone.
		ratio += 1e-18 / math.Sqrt(1-beta2) / epsilon
	}
	move := 0.
	if factor > 0 {
		move = factor * ratio
	}
	keep := math.Abs(1 - rate*setting.weightDecay)
	next = magnitude{known: true, weight: max(1, keep)*m.weight + move}
	return next, greatest(factor, factor*square, slope, next.weight)
}

// greatest is NaN if a value is.
func greatest(values ...float64) float64 {
	found := 0.
	for _, v := range values {
		found = max(found, v)
	}
	return found
}
