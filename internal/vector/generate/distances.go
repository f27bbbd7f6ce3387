package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// writeDistances writes the sums over one array or two. All but the dot product
// add in double precision, what they subtract in single precision.
func writeDistances(c *code) {
	c.routine("dot", "(x, y *float32, n int) float32")
	x, y := c.argument("x"), c.argument("y")
	sums := []reg.VecVirtual{c.zeros(), c.zeros(), c.zeros(), c.zeros()}
	c.eachVector(c.argument("n"), len(sums), []reg.GPVirtual{x, y}, func(p part) {
		c.VFMADD231PS(p.load(x), p.load(y), sums[p.vector])
	})
	c.result(c.sumSingles(sums))

	c.routine("squaredNorm", "(x *float32, n int) float64")
	x = c.argument("x")
	c.sum([]reg.GPVirtual{x}, func(p part, sum doubles) {
		for half, v := range p.loadWide(x) {
			c.VFMADD231PD(v, v, sum[half])
		}
	})

	c.routine("squaredDistance", "(x, y *float32, n int) float64")
	x, y = c.argument("x"), c.argument("y")
	c.sum([]reg.GPVirtual{x, y}, func(p part, sum doubles) {
		for half, v := range p.widen(p.difference(x, y)) {
			c.VFMADD231PD(v, v, sum[half])
		}
	})

	c.routine("absoluteDistance", "(x, y *float32, n int) float64")
	x, y = c.argument("x"), c.argument("y")
	unsigned := c.allButSigns()
	c.sum([]reg.GPVirtual{x, y}, func(p part, sum doubles) {
		difference := p.difference(x, y)
		c.and(unsigned, difference)
		for half, v := range p.widen(difference) {
			c.VADDPD(v, sum[half], sum[half])
		}
	})

	c.routine("weightedDistance", "(x, y, weight *float32, n int) float64")
	x, y = c.argument("x"), c.argument("y")
	weight := c.argument("weight")
	unsigned = c.allButSigns()
	c.sum([]reg.GPVirtual{x, y, weight}, func(p part, sum doubles) {
		difference, weights := p.difference(x, y), p.loadWide(weight)
		c.and(unsigned, difference)
		for half, v := range p.widen(difference) {
			c.VFMADD231PD(v, weights[half], sum[half])
		}
	})
}

// sum writes a loop over n elements of arrays, in which add adds to a sum in
// double precision, and the function's end.
func (c *code) sum(arrays []reg.GPVirtual, add func(p part, sum doubles)) {
	sums := []doubles{c.zeroDoubles(), c.zeroDoubles()}
	c.eachVector(c.argument("n"), len(sums), arrays, func(p part) { add(p, sums[p.vector]) })
	c.result(c.sumDoubles([]reg.VecVirtual{sums[0][0], sums[0][1], sums[1][0], sums[1][1]}))
}

func (p part) difference(x, y reg.GPVirtual) reg.VecVirtual {
	v := p.load(x)
	p.VSUBPS(p.load(y), v, v)
	return v
}

// and clears the bits of v that are not in bits.
func (c *code) and(bits, v reg.VecVirtual) {
	if c.wide() {
		c.VPANDD(bits, v, v)
	} else {
		c.VPAND(bits, v, v)
	}
}

// allButSigns returns the bits of float32s that are not their signs.
func (c *code) allButSigns() reg.VecVirtual {
	v := c.any()
	if c.wide() {
		c.VPTERNLOGD(operand.Imm(0xff), v, v, v)
	} else {
		c.VPCMPEQD(v, v, v)
	}
	c.VPSRLD(operand.Imm(1), v, v)
	return v
}
