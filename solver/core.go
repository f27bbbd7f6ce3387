package solver

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// errNil is that of a nil solver or average. What gives no error does nothing
// then, so that Step or Update is where it shows.
var errNil = errors.New("found a nil pointer, expected a solver or an average")

// core is what all solvers share: the parameters as first met, the moments
// kept of them, and the order of a step.
type core struct {
	steps      int
	norm       float64
	parameters []*parameter // nil before the first step and after Restore
	moments    State        // by "kind/parameter"

	crew    crew
	partial []float64 // sum of squares of each chunk's gradient
	pulling []float64 // the same of the weight, where a penalty pulls at it and the rule squares

	// Of the present step; fields and stored functions, not closures, so that
	// a step allocates nothing.
	rule                      rule
	scale                     float64
	measureChunk, updateChunk func(i int)
}

// rule is what tells one solver from another.
type rule interface {
	check() error
	kinds() []string   // the moments kept of each parameter
	defaults() setting // of a parameter that no layer matches
	layers() []Layer
	rate() float64 // η of the present step
	clip() float64 // the limit on the norm over all gradients, 0 for none
	squares() bool // whether a moment is of the squares of gradients

	// update computes the elements [from, to) of a parameter's next weight
	// from its gradient times scale.
	update(p *parameter, from, to int, scale float64)
}

// step checks everything, then updates everything.
func (c *core) step(model []gorgonia.ValueGrad, r rule) error {
	if err := c.prepare(model, r); err != nil {
		return errors.Wrapf(err, "solver step %d", c.steps)
	}
	c.crew.run(c.updateChunk)
	c.steps++
	return nil
}

func (c *core) prepare(model []gorgonia.ValueGrad, r rule) error {
	if err := within(bound{"learning_rate", r.rate(), 0, math.Inf(1)}); err != nil {
		return err
	}
	if c.parameters == nil {
		if err := r.check(); err != nil {
			return err
		}
		if err := c.meet(model, r); err != nil {
			return err
		}
	}
	if len(model) != len(c.parameters) {
		return errors.Wrapf(ErrChanged, "found %d parameters, expected %d", len(model), len(c.parameters))
	}
	for i, element := range model {
		if err := c.parameters[i].bind(element); err != nil {
			return errors.Wrapf(err, "parameter %q", c.parameters[i].name)
		}
	}
	c.rule = r
	if err := c.measure(); err != nil {
		return err
	}
	c.scale = clipScale(c.norm, r.clip())
	return c.checkSquares()
}

// meet makes the acquaintance of the parameters on the first step.
func (c *core) meet(model []gorgonia.ValueGrad, r rule) error {
	parameters, err := newParameters(model, r.defaults(), r.layers())
	if err != nil {
		return err
	}
	moments, err := attachMoments(parameters, r.kinds(), c.moments)
	if err != nil {
		return err
	}
	sizes := make([]int, len(parameters))
	for i, p := range parameters {
		sizes[i] = p.shape.TotalSize()
	}
	c.parameters, c.moments = parameters, moments
	c.crew.divide(sizes)
	c.partial, c.pulling = make([]float64, len(c.crew.chunks)), make([]float64, len(c.crew.chunks))
	c.measureChunk = func(i int) {
		chunk := c.crew.chunks[i]
		p := c.parameters[chunk.item]
		c.partial[i] = sumOfSquares(p.gradient, chunk.from, chunk.to)
		if p.setting.l2 > 0 && c.rule.squares() {
			c.pulling[i] = sumOfSquares(p.weight, chunk.from, chunk.to)
		}
	}
	c.updateChunk = func(i int) {
		chunk := c.crew.chunks[i]
		c.rule.update(c.parameters[chunk.item], chunk.from, chunk.to, c.scale)
	}
	return nil
}

func (c *core) progress(rate float64) Progress {
	return Progress{Steps: c.steps, LearningRate: rate, GradientNorm: c.norm}
}
