package solver

import (
	"math"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// errNil is the error of a nil solver or average. Methods that return no error do
// nothing then.
var errNil = errors.New("found a nil pointer, expected a solver or an average")

// core is what all solvers share: the parameters of the first step, their moments,
// and the sequence of a step.
type core struct {
	steps      int
	norm       float64
	parameters []*parameter // nil before the first step and after Restore
	moments    State        // by "kind/parameter"

	size magnitude // upper bounds of the weights and the moments

	chunks          chunks
	gradientSquares []float64 // sum of squares of the gradient in each chunk
	weightSquares   []float64 // the same of the weight, if it has an L2 penalty and the rule squares gradients

	// The variables of the current step are fields, and its functions are stored, so
	// that a step on one thread allocates nothing.
	rule                      rule
	scale                     float64
	measureChunk, updateChunk func(worker, i int)
}

// rule is the part in which solvers differ.
type rule interface {
	check() error
	kinds() []string   // names of the moments of each parameter
	defaults() setting // settings of a parameter that no layer matches
	layers() []Layer
	rate() float64 // η of the current step
	clip() float64 // maximum norm over all gradients, 0 for no limit
	squares() bool // whether a moment contains squares of gradients

	// reach returns upper bounds of the weights and the moments after the current
	// step, given those before it and that of the elements of the gradient; largest
	// also bounds all intermediate results.
	reach(m magnitude, gradient float64) (next magnitude, largest float64)

	// update updates the elements [from, to) of a weight with its gradient times
	// scale.
	update(p *parameter, from, to int, scale float64)
}

// step validates everything, then updates all weights. After an error the weights
// and the moments are as before.
func (c *core) step(model []gorgonia.ValueGrad, r rule) error {
	if err := c.prepare(model, r); err != nil {
		return errors.Wrapf(err, "solver step %d", c.steps)
	}
	if c.safe() {
		c.chunks.run(c.updateChunk)
	} else if err := c.guardedUpdate(); err != nil {
		return errors.Wrapf(err, "solver step %d", c.steps)
	}
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
		if err := c.setUp(model, r); err != nil {
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

// setUp creates the records of the parameters in the first step.
func (c *core) setUp(model []gorgonia.ValueGrad, r rule) error {
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
	c.parameters, c.moments, c.size = parameters, moments, magnitude{}
	c.chunks.divide(sizes)
	c.gradientSquares, c.weightSquares = make([]float64, len(c.chunks.all)), make([]float64, len(c.chunks.all))
	c.measureChunk = func(_, i int) {
		chunk := c.chunks.all[i]
		p := c.parameters[chunk.item]
		c.gradientSquares[i] = sumOfSquares(p.gradient, chunk.from, chunk.to)
		if p.setting.l2 > 0 && c.rule.squares() {
			c.weightSquares[i] = sumOfSquares(p.weight, chunk.from, chunk.to)
		}
	}
	c.updateChunk = func(_, i int) {
		chunk := c.chunks.all[i]
		c.rule.update(c.parameters[chunk.item], chunk.from, chunk.to, c.scale)
	}
	return nil
}

func (c *core) progress(rate float64) Progress {
	return Progress{Steps: c.steps, LearningRate: rate, GradientNorm: c.norm}
}

// measure computes the norm over all gradients: the sum of squares of each chunk in
// float64, then the sum over chunks in their order. It returns an error for a
// gradient that is not finite.
func (c *core) measure() error {
	c.chunks.run(c.measureChunk)
	var sum float64
	for i, partial := range c.gradientSquares {
		if math.IsNaN(partial) || math.IsInf(partial, 0) {
			return c.parameters[c.chunks.all[i].item].notFinite()
		}
		sum += partial
	}
	c.norm = math.Sqrt(sum)
	return nil
}

// clipScale is the factor on every gradient that reduces their common norm to the
// limit (Pascanu, Mikolov & Bengio 2013, algorithm 1). It is 1 if the norm is not
// above the limit, or if the limit is 0, which stands for none.
func clipScale(norm, limit float64) float64 {
	if limit > 0 && norm > limit {
		return limit / norm
	}
	return 1
}

// notFinite is the error that names the parameter and its first element that is not
// finite.
func (p *parameter) notFinite() error {
	element, value := -1, 0.0
	if p.dtype == tensor.Float32 {
		element, value = firstNotFinite(p.gradient.Float32s())
	} else {
		element, value = firstNotFinite(p.gradient.Float64s())
	}
	if element < 0 {
		return errors.Wrapf(ErrNotFinite, "parameter %q: the sum of squares of the gradient overflows", p.name)
	}
	return errors.Wrapf(ErrNotFinite, "parameter %q: found %v at element %d of the gradient", p.name, value, element)
}

func firstNotFinite[T vector.Float](x []T) (element int, value float64) {
	for i, value := range x {
		if v := float64(value); math.IsNaN(v) || math.IsInf(v, 0) {
			return i, v
		}
	}
	return -1, 0
}

// checkSquares returns an error for a gradient whose squares overflow the element type
// of the moments, if the rule squares gradients. Such a moment would stay infinite and
// its weight would not change any more, although all weights and losses were finite.
// No element is larger than the square root of the sum of squares of its chunk.
func (c *core) checkSquares() error {
	if !c.rule.squares() {
		return nil
	}
	for i, partial := range c.gradientSquares {
		p := c.parameters[c.chunks.all[i].item]
		limit := math.Sqrt(math.MaxFloat32)
		if p.dtype == tensor.Float64 {
			limit = math.Sqrt(math.MaxFloat64)
		}
		size := c.scale*math.Sqrt(partial) + 2*p.setting.l2*math.Sqrt(c.weightSquares[i])
		if !(size < limit) {
			return errors.Wrapf(ErrNotFinite, "parameter %q: the square of the gradient, of up to %.2g, overflows", p.name, size)
		}
	}
	return nil
}

// chunkSize is the number of elements that a thread processes at a time: large
// enough that scheduling costs little, small enough to divide a small network. It is
// fixed, so that sums over chunks do not depend on the number of threads.
const chunkSize = 1 << 14

// chunk is the elements [from, to) of one item.
type chunk struct{ item, from, to int }

// chunks divides items into parts that are processed in parallel.
type chunks struct{ all []chunk }

// divide divides items of the given sizes into chunks.
func (c *chunks) divide(sizes []int) {
	c.all = c.all[:0]
	for item, size := range sizes {
		for from := 0; from < size; from += chunkSize {
			c.all = append(c.all, chunk{item, from, min(from+chunkSize, size)})
		}
	}
}

// run calls work for the index of every chunk, in any order.
func (c *chunks) run(work func(worker, i int)) {
	parallel.ForWorkers(parallel.Threads(), len(c.all), work)
}
