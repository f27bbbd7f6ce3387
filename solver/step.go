package solver

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/likeness-go/likeness/internal/vector"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
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

// measure computes the norm over all gradients: the sum of squares of each
// chunk in double precision, then the sum over chunks in their order. It is
// also where a gradient that is not finite shows.
func (c *core) measure() error {
	c.crew.run(c.measureChunk)
	var sum float64
	for i, partial := range c.partial {
		if math.IsNaN(partial) || math.IsInf(partial, 0) {
			return c.parameters[c.crew.chunks[i].item].notFinite()
		}
		sum += partial
	}
	c.norm = math.Sqrt(sum)
	return nil
}

// clipScale is the factor on every gradient that brings their common norm down
// to the limit (Pascanu, Mikolov & Bengio 2013, algorithm 1). It is 1 for a
// norm within the limit, and without a limit, which is 0.
func clipScale(norm, limit float64) float64 {
	if limit > 0 && norm > limit {
		return limit / norm
	}
	return 1
}

// notFinite names the parameter and the first element to blame.
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

// checkSquares refuses a gradient whose squares the arithmetic of the moments
// does not hold, where the rule keeps them. The moment would be infinite from
// then on, and its weight never move again, though every weight and every cost
// were finite. No element is larger than the root of its chunk's sum of squares.
func (c *core) checkSquares() error {
	if !c.rule.squares() {
		return nil
	}
	for i, partial := range c.partial {
		p := c.parameters[c.crew.chunks[i].item]
		most := math.Sqrt(math.MaxFloat32)
		if p.dtype == tensor.Float64 {
			most = math.Sqrt(math.MaxFloat64)
		}
		size := c.scale*math.Sqrt(partial) + 2*p.setting.l2*math.Sqrt(c.pulling[i])
		if !(size < most) {
			return errors.Wrapf(ErrNotFinite, "parameter %q: the square of the gradient, of up to %.2g, overflows", p.name, size)
		}
	}
	return nil
}

// chunkSize is the number of elements a goroutine takes at a time: enough for
// taking it to cost nothing, few enough to share a small network out. It is
// fixed, so that sums over chunks do not depend on the number of threads.
const chunkSize = 1 << 14

// chunk is the elements [from, to) of one item.
type chunk struct{ item, from, to int }

// crew shares chunks out among goroutines.
type crew struct {
	chunks []chunk

	work   func(i int)
	member func() // kept, so that starting a goroutine allocates no closure
	next   atomic.Int64
	done   sync.WaitGroup
}

// divide cuts items of the given sizes into chunks.
func (c *crew) divide(sizes []int) {
	c.chunks = c.chunks[:0]
	for item, size := range sizes {
		for from := 0; from < size; from += chunkSize {
			c.chunks = append(c.chunks, chunk{item, from, min(from+chunkSize, size)})
		}
	}
	c.member = func() {
		defer c.done.Done()
		c.takeChunks()
	}
}

// run calls work for the index of every chunk, in any order.
func (c *crew) run(work func(i int)) {
	c.work = work
	c.next.Store(0)
	for range min(runtime.GOMAXPROCS(0), len(c.chunks)) - 1 {
		c.done.Add(1)
		go c.member()
	}
	c.takeChunks()
	c.done.Wait()
}

func (c *crew) takeChunks() {
	for {
		i := int(c.next.Add(1)) - 1
		if i >= len(c.chunks) {
			return
		}
		c.work(i)
	}
}
