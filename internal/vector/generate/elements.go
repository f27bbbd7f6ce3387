package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// writeElements writes the loops over elements of arrays of one length.
func writeElements(c *code) {
	c.routine("add", "(y, x *float32, n int)")
	c.elementwise([]string{"y", "x"}, 4, func(p part, y, x, _ reg.GPVirtual) {
		sum := p.load(y)
		c.VADDPS(p.load(x), sum, sum)
		p.store(sum, y)
	})

	c.routine("prefetch", "(x *float32, n int)")
	at, left, line := c.argument("x"), c.argument("n"), c.label("line")
	c.Label(line)
	c.MOVL(operand.Mem{Base: at}, c.GP32())
	c.ADDQ(operand.I8(64), at)
	c.SUBQ(operand.I8(16), left)
	c.JG(operand.LabelRef(line))
	c.RET()

	c.routine("scale", "(y, x *float32, n int, factor float32)")
	factor := c.everywhere("factor")
	c.elementwise([]string{"y", "x"}, 4, func(p part, y, x, _ reg.GPVirtual) {
		v := p.load(x)
		c.VMULPS(factor, v, v)
		p.store(v, y)
	})

	c.routine("addDifference", "(dx, x, y *float32, n int, factor float32)")
	factor = c.everywhere("factor")
	c.elementwise([]string{"dx", "x", "y"}, 4, func(p part, dx, x, y reg.GPVirtual) {
		difference, sum := p.load(x), p.load(dx)
		c.VSUBPS(p.load(y), difference, difference)
		c.VFMADD231PS(difference, factor, sum)
		p.store(sum, dx)
	})

	c.routine("relu", "(y, x *float32, n int)")
	zero := c.zeros()
	c.elementwise([]string{"y", "x"}, 4, func(p part, y, x, _ reg.GPVirtual) {
		v := p.load(x)
		c.VMAXPS(v, zero, v) // if one operand is NaN it returns the second source, which is v
		c.VADDPS(zero, v, v) // likewise for zero and minus zero, and this turns minus zero into zero
		p.store(v, y)
	})

	c.routine("reluGradient", "(dx, x, dy *float32, n int)")
	zero = c.zeros()
	c.elementwise([]string{"dx", "x", "dy"}, 4, func(p part, dx, x, dy reg.GPVirtual) {
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

// elementwise writes a loop over n elements of two or three arrays, several vectors at a
// time, and the end of the function.
func (c *code) elementwise(names []string, several int, body func(p part, first, second, third reg.GPVirtual)) {
	arrays := make([]reg.GPVirtual, 3)
	for i, name := range names {
		arrays[i] = c.argument(name)
	}
	c.eachVector(c.argument("n"), several, arrays[:len(names)], func(p part) {
		body(p, arrays[0], arrays[1], arrays[2])
	})
	c.end()
}

// dotRows is the number of rows of a call of the routine of that name; package vector has the same number.
const dotRows = 4

// writeDistances writes the sums over arrays. All except the dot product subtract in single
// precision and add in double precision.
func writeDistances(c *code) {
	c.routine("dot", "(x, y *float32, n int) float32")
	x, y := c.argument("x"), c.argument("y")
	sums := []reg.VecVirtual{c.zeros(), c.zeros(), c.zeros(), c.zeros()}
	c.eachVector(c.argument("n"), len(sums), []reg.GPVirtual{x, y}, func(p part) {
		c.VFMADD231PS(p.load(x), p.load(y), sums[p.vector])
	})
	c.result(c.sumSingles(sums))

	c.dotRows()

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

// dotRows writes the dot products of x with rows that are stride bytes apart. Several rows at a time are
// read faster from memory than one after the other, and x is read from the cache less often.
func (c *code) dotRows() {
	c.routine("dotRows", "(y, x, rows *float32, stride, n int)")
	arrays := []reg.GPVirtual{c.argument("x"), c.argument("rows")}
	stride := c.argument("stride")
	for i := 1; i < dotRows; i++ {
		next := c.GP64()
		c.LEAQ(operand.Mem{Base: arrays[i], Index: stride, Scale: 1}, next)
		arrays = append(arrays, next)
	}
	var sums [dotRows][]reg.VecVirtual
	for i := range sums {
		sums[i] = []reg.VecVirtual{c.zeros(), c.zeros()}
	}
	c.eachVector(c.argument("n"), 2, arrays, func(p part) {
		x := p.load(arrays[0])
		for i := range sums {
			c.VFMADD231PS(p.load(arrays[1+i]), x, sums[i][p.vector])
		}
	})
	y := c.argument("y")
	for i := range sums {
		c.VMOVSS(c.sumSingles(sums[i]).(reg.VecVirtual), operand.Mem{Base: y, Disp: 4 * i})
	}
	c.end()
}

// sum writes a loop over n elements of arrays, in which add adds to a sum in double
// precision, and the end of the function.
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

// allButSigns returns a vector whose lanes have all bits set except the sign of a float32.
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

// writeUpdates writes the steps of the solvers, each in one pass over memory.
func writeUpdates(c *code) {
	c.adam()
	c.momentum("momentum", false)
	c.momentum("nesterov", true)
}

func (c *code) adam() {
	c.routine("adam", "(weight, gradient, first, second *float32, n int, scale, penalty, keep, beta1, rest1, beta2, rest2, rate, root, epsilon float32)")
	scale, penalty, keep := c.everywhere("scale"), c.everywhere("penalty"), c.everywhere("keep")
	beta1, rest1, beta2, rest2 := c.everywhere("beta1"), c.everywhere("rest1"), c.everywhere("beta2"), c.everywhere("rest2")
	rate, root, epsilon := c.everywhere("rate"), c.everywhere("root"), c.everywhere("epsilon")
	weight, gradient := c.argument("weight"), c.argument("gradient")
	first, second := c.argument("first"), c.argument("second")
	c.eachVector(c.argument("n"), 2, []reg.GPVirtual{weight, gradient, first, second}, func(p part) {
		w, g, m, v := p.load(weight), p.load(gradient), p.load(first), p.load(second)
		c.VMULPS(scale, g, g)
		c.VFMADD231PS(w, penalty, g)
		c.VMULPS(beta1, m, m)
		c.VFMADD231PS(g, rest1, m)
		p.store(m, first)
		c.VMULPS(g, g, g)
		c.VMULPS(beta2, v, v)
		c.VFMADD231PS(g, rest2, v)
		p.store(v, second)
		c.VSQRTPS(v, v)
		c.VFMADD213PS(epsilon, root, v)
		c.VDIVPS(v, m, m)
		c.VMULPS(rate, m, m)
		c.VFMSUB213PS(m, keep, w)
		p.store(w, weight)
	})
	c.end()
}

func (c *code) momentum(name string, ahead bool) {
	c.routine(name, "(weight, gradient, velocity *float32, n int, scale, rate, momentum, penalty float32)")
	scale, rate, momentum, penalty := c.everywhere("scale"), c.everywhere("rate"), c.everywhere("momentum"), c.everywhere("penalty")
	weight, gradient, velocity := c.argument("weight"), c.argument("gradient"), c.argument("velocity")
	c.eachVector(c.argument("n"), 4, []reg.GPVirtual{weight, gradient, velocity}, func(p part) {
		w, descent, v := p.load(weight), p.load(gradient), p.load(velocity)
		c.VMULPS(scale, descent, descent)
		c.VFMADD231PS(w, penalty, descent)
		c.VMULPS(rate, descent, descent)
		c.VFMSUB213PS(descent, momentum, v)
		p.store(v, velocity)
		if ahead {
			c.VFMSUB213PS(descent, momentum, v)
		}
		c.VADDPS(v, w, w)
		p.store(w, weight)
	})
	c.end()
}

// writeTranspose writes transposes of square blocks that are side by side. Lane l of a
// vector, with four elements, holds elements of row 4l + m: when four such vectors, for all
// m, are transposed within their lanes, they are columns.
func writeTranspose(c *code) {
	for side := 4; side <= c.lanes; side *= 2 {
		c.transpose(side)
	}
}

// transpose writes the transpose of blocks of side rows and columns. The
// strides are in bytes.
func (c *code) transpose(side int) {
	c.routine(fmt.Sprintf("transpose%d", side), "(y *float32, yStride int, x *float32, xStride, blocks int)")
	y, yStride, y3 := c.argument("y"), c.argument("yStride"), c.GP64()
	xStride, x3 := c.argument("xStride"), c.GP64()
	c.LEAQ(operand.Mem{Base: yStride, Index: yStride, Scale: 2}, y3)
	c.LEAQ(operand.Mem{Base: xStride, Index: xStride, Scale: 2}, x3)
	fours := []reg.GPVirtual{c.argument("x")} // the first row of each four
	for len(fours) < side/4 {
		next := c.GP64()
		c.LEAQ(operand.Mem{Base: fours[len(fours)-1], Index: xStride, Scale: 4}, next)
		fours = append(fours, next)
	}
	blocks, loop := c.argument("blocks"), c.label("block")
	c.Label(loop)
	// All of a row is loaded at once, because with a stride that is a power of two the
	// cache may not hold as many rows.
	quarters := make([][4]reg.VecVirtual, side/4)
	for lane, four := range fours {
		for m := range 4 {
			for i := range quarters {
				if lane == 0 {
					quarters[i][m] = c.any()
				}
				at := fourth(four, xStride, x3, m)
				at.Disp = 16 * i
				c.loadLane(at, quarters[i][m], lane, side)
			}
		}
	}
	for _, rows := range quarters {
		for m, column := range c.transposeLanes(rows, side) {
			c.VMOVUPS(column, fourth(y, yStride, y3, m))
		}
		c.LEAQ(operand.Mem{Base: y, Index: yStride, Scale: 4}, y)
	}
	for _, four := range fours {
		c.ADDQ(operand.U32(4*side), four)
	}
	c.DECQ(blocks)
	c.JNZ(operand.LabelRef(loop))
	c.end()
}

// fourth returns the address of row m of four.
func fourth(first, stride, stride3 reg.GPVirtual, m int) operand.Mem {
	switch m {
	case 0:
		return operand.Mem{Base: first}
	case 3:
		return operand.Mem{Base: first, Index: stride3, Scale: 1}
	}
	return operand.Mem{Base: first, Index: stride, Scale: uint8(m)}
}

// loadLane loads four elements to a lane of a vector of size elements.
func (c *code) loadLane(from operand.Mem, to reg.VecVirtual, lane, size int) {
	switch {
	case lane == 0:
		c.VMOVUPS(from, to.AsX())
	case size == 8:
		c.VINSERTF128(operand.Imm(uint64(lane)), from, to.AsY(), to.AsY())
	default:
		c.VINSERTF32X4(operand.Imm(uint64(lane)), from, to, to)
	}
}

// transposeLanes transposes 4×4 elements in each lane.
func (c *code) transposeLanes(rows [4]reg.VecVirtual, size int) (columns [4]reg.Register) {
	sized := func(v reg.VecVirtual) reg.Register {
		switch size {
		case 4:
			return v.AsX()
		case 8:
			return v.AsY()
		}
		return v
	}
	free := func() reg.Register { return sized(c.any()) }
	low01, high01, low23, high23 := free(), free(), free(), free()
	c.VUNPCKLPS(sized(rows[1]), sized(rows[0]), low01)
	c.VUNPCKHPS(sized(rows[1]), sized(rows[0]), high01)
	c.VUNPCKLPS(sized(rows[3]), sized(rows[2]), low23)
	c.VUNPCKHPS(sized(rows[3]), sized(rows[2]), high23)
	columns = [4]reg.Register{free(), free(), free(), free()}
	c.VUNPCKLPD(low23, low01, columns[0])
	c.VUNPCKHPD(low23, low01, columns[1])
	c.VUNPCKLPD(high23, high01, columns[2])
	c.VUNPCKHPD(high23, high01, columns[3])
	return columns
}

// ceilingSums is the number of independent sums of writeCeiling, at least as many as a
// processor computes at the same time.
const ceilingSums = 12

// writeCeiling writes fused multiply-adds that depend neither on memory nor on each other.
func writeCeiling(c *code) {
	c.routine("ceiling", "(iterations int, half float32)")
	half, left, loop := c.everywhere("half"), c.argument("iterations"), c.label("loop")
	var sums []reg.VecVirtual
	for range ceilingSums {
		sums = append(sums, c.zeros())
	}
	c.Label(loop)
	for range 2 {
		for _, sum := range sums {
			c.VFMADD213PS(half, half, sum)
		}
	}
	c.DECQ(left)
	c.JNZ(operand.LabelRef(loop))
	c.end()
}
