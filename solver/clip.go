package solver

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/tensor"

	"github.com/likeness-go/likeness/internal/vector"
)

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
