package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// writeElements writes the loops over elements of arrays of one length.
func writeElements(c *code) {
	c.routine("add", "(y, x *float32, n int)")
	c.elementwise([]string{"y", "x"}, func(p part, y, x, _ reg.GPVirtual) {
		sum := p.load(y)
		c.VADDPS(p.load(x), sum, sum)
		p.store(sum, y)
	})

	c.routine("scale", "(y, x *float32, n int, factor float32)")
	factor := c.everywhere("factor")
	c.elementwise([]string{"y", "x"}, func(p part, y, x, _ reg.GPVirtual) {
		v := p.load(x)
		c.VMULPS(factor, v, v)
		p.store(v, y)
	})

	c.routine("addDifference", "(dx, x, y *float32, n int, factor float32)")
	factor = c.everywhere("factor")
	c.elementwise([]string{"dx", "x", "y"}, func(p part, dx, x, y reg.GPVirtual) {
		difference, sum := p.load(x), p.load(dx)
		c.VSUBPS(p.load(y), difference, difference)
		c.VFMADD231PS(difference, factor, sum)
		p.store(sum, dx)
	})

	c.routine("relu", "(y, x *float32, n int)")
	zero := c.zeros()
	c.elementwise([]string{"y", "x"}, func(p part, y, x, _ reg.GPVirtual) {
		v := p.load(x)
		c.VMAXPS(v, zero, v) // of zero and NaN it returns the latter operand, which is v
		c.VADDPS(zero, v, v) // and of zero and minus zero, which this makes zero
		p.store(v, y)
	})

	c.routine("reluGradient", "(dx, x, dy *float32, n int)")
	zero = c.zeros()
	c.elementwise([]string{"dx", "x", "dy"}, func(p part, dx, x, dy reg.GPVirtual) {
		v, slope := p.load(x), p.load(dy)
		if c.wide() {
			above := c.K()
			c.VCMPPS(operand.Imm(notAtMost), zero, v, above)
			c.VMOVAPS_Z(slope, above, slope)
		} else {
			c.VCMPPS(operand.Imm(notAtMost), zero, v, v)
			c.VANDPS(v, slope, slope)
		}
		p.store(slope, dx)
	})
}

// elementwise writes a loop over n elements of two or three arrays, and the
// function's end.
func (c *code) elementwise(names []string, body func(p part, first, second, third reg.GPVirtual)) {
	arrays := make([]reg.GPVirtual, 3)
	for i, name := range names {
		arrays[i] = c.argument(name)
	}
	c.eachVector(c.argument("n"), 4, arrays[:len(names)], func(p part) {
		body(p, arrays[0], arrays[1], arrays[2])
	})
	c.end()
}
