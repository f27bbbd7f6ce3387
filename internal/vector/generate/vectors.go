package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// mask says which lanes of a vector count.
type mask struct {
	bits reg.OpmaskVirtual // AVX-512
	sign reg.VecVirtual    // AVX2: the sign of each lane
}

// first returns the mask of the first n lanes, less than all.
func (c *code) first(n reg.GPVirtual) *mask {
	if c.wide() {
		bits, ones := c.K(), c.GP64()
		c.MOVQ(operand.I32(-1), ones)
		c.BZHIQ(n, ones, ones)
		c.KMOVW(ones.As32(), bits)
		return &mask{bits: bits}
	}
	numbers, order, sign := c.GP64(), c.YMM(), c.YMM()
	c.MOVQ(operand.U64(0x0706050403020100), numbers)
	c.VMOVQ(numbers, order.AsX())
	c.VPMOVZXBD(order.AsX(), order)
	c.VMOVD(n.As32(), sign.AsX())
	c.VPBROADCASTD(sign.AsX(), sign)
	c.VPCMPGTD(order, sign, sign)
	return &mask{sign: sign}
}

// part is where a step of a loop works, relative to pointers into several
// arrays: on a whole vector or, with a mask, on the first lanes of one.
type part struct {
	*code
	vector int // from the pointers
	mask   *mask
}

// in is the place in an array of float32.
func (p part) in(array reg.GPVirtual) operand.Mem {
	return operand.Mem{Base: array, Disp: 4 * p.vector * p.lanes}
}

// load returns the elements there, and zeros in the lanes that do not count.
func (p part) load(array reg.GPVirtual) reg.VecVirtual { return p.loadFrom(p.in(array)) }

func (p part) loadFrom(at operand.Mem) reg.VecVirtual {
	v := p.any()
	switch {
	case p.mask == nil:
		p.VMOVUPS(at, v)
	case p.wide():
		p.VMOVUPS_Z(at, p.mask.bits, v)
	default:
		p.VMASKMOVPS(at, p.mask.sign, v)
	}
	return v
}

func (p part) store(v reg.VecVirtual, array reg.GPVirtual) { p.storeTo(v, p.in(array)) }

func (p part) storeTo(v reg.VecVirtual, at operand.Mem) {
	switch {
	case p.mask == nil:
		p.VMOVUPS(v, at)
	case p.wide():
		p.VMOVUPS(v, p.mask.bits, at)
	default:
		p.VMASKMOVPS(v, p.mask.sign, at)
	}
}

// eachVector calls body for all n elements of arrays: for several vectors at a
// time, for one, and for the rest. It moves the pointers and counts n down.
func (c *code) eachVector(n reg.GPVirtual, several int, arrays []reg.GPVirtual, body func(part)) {
	for _, vectors := range []int{several, 1} {
		loop, done := c.label("loop"), c.label("done")
		size := operand.U32(vectors * c.lanes)
		c.SUBQ(size, n)
		c.JLT(operand.LabelRef(done))
		c.Label(loop)
		for i := range vectors {
			body(part{c, i, nil})
		}
		for _, array := range arrays {
			c.ADDQ(operand.U32(4*vectors*c.lanes), array)
		}
		c.SUBQ(size, n)
		c.JGE(operand.LabelRef(loop))
		c.Label(done)
		c.ADDQ(size, n)
	}
	end := c.label("end")
	c.JZ(operand.LabelRef(end))
	body(part{c, 0, c.first(n)})
	c.Label(end)
}
