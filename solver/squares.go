package solver

import (
	"math"

	"github.com/pkg/errors"
	"gorgonia.org/tensor"
)

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
