package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// mask selects lanes of a vector.
type mask struct {
	bits reg.OpmaskVirtual // AVX-512
	sign reg.VecVirtual    // AVX2: the sign of each lane
}

// first returns the mask of the first n lanes, n being less than their number.
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

// part is the part of several arrays that a step of a loop processes: a whole vector or,
// with a mask, the first lanes of one.
type part struct {
	*code
	vector int // index of the vector, from the pointers
	mask   *mask
}

// in returns the address of the part in an array of float32.
func (p part) in(array reg.GPVirtual) operand.Mem {
	return operand.Mem{Base: array, Disp: 4 * p.vector * p.lanes}
}

// load loads the part of an array, with zeros in the lanes outside the mask.
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

// eachVector writes loops over all n elements of arrays: with several vectors at a time,
// with one, and for the rest. They advance the pointers and count n down.
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

// doubles is a vector in double precision: the lower and the upper half of its lanes.
type doubles [2]reg.VecVirtual

func (c *code) zeroDoubles() doubles { return doubles{c.zeros(), c.zeros()} }

// widen converts a vector to double precision.
func (c *code) widen(v reg.VecVirtual) doubles {
	low, high := c.any(), c.any()
	if c.wide() {
		c.VEXTRACTF64X4(operand.Imm(1), v, high.AsY())
		c.VCVTPS2PD(v.AsY(), low)
		c.VCVTPS2PD(high.AsY(), high)
	} else {
		c.VEXTRACTF128(operand.Imm(1), v, high.AsX())
		c.VCVTPS2PD(v.AsX(), low)
		c.VCVTPS2PD(high.AsX(), high)
	}
	return doubles{low, high}
}

// loadWide loads float32 elements and converts them to double precision.
func (p part) loadWide(array reg.GPVirtual) doubles {
	if p.mask != nil {
		return p.widen(p.load(array))
	}
	var d doubles
	for half := range d {
		at := p.in(array)
		at.Disp += half * 2 * p.lanes
		d[half] = p.any()
		p.VCVTPS2PD(at, d[half])
	}
	return d
}

// inDoubles returns the address of a half of the part in an array of float64.
func (p part) inDoubles(array reg.GPVirtual, half int) operand.Mem {
	return operand.Mem{Base: array, Disp: (2*p.vector + half) * 4 * p.lanes}
}

// loadDoubles loads float64 elements.
func (p part) loadDoubles(array reg.GPVirtual) doubles {
	d := doubles{p.any(), p.any()}
	for half, v := range d {
		switch m := p.half(half); {
		case m == nil:
			p.VMOVUPD(p.inDoubles(array, half), v)
		case p.wide():
			p.VMOVUPD_Z(p.inDoubles(array, half), m.bits, v)
		default:
			p.VMASKMOVPD(p.inDoubles(array, half), m.sign, v)
		}
	}
	return d
}

func (p part) storeDoubles(d doubles, array reg.GPVirtual) {
	for half, v := range d {
		switch m := p.half(half); {
		case m == nil:
			p.VMOVUPD(v, p.inDoubles(array, half))
		case p.wide():
			p.VMOVUPD(v, m.bits, p.inDoubles(array, half))
		default:
			p.VMASKMOVPD(v, m.sign, p.inDoubles(array, half))
		}
	}
}

// half returns the mask for one half of the lanes.
func (p part) half(half int) *mask {
	switch {
	case p.mask == nil:
		return nil
	case p.wide():
		bits := p.K()
		p.KSHIFTRW(operand.Imm(uint64(8*half)), p.mask.bits, bits)
		return &mask{bits: bits}
	}
	sign := p.any()
	p.VEXTRACTF128(operand.Imm(uint64(half)), p.mask.sign, sign.AsX())
	p.VPMOVSXDQ(sign.AsX(), sign)
	return &mask{sign: sign}
}

// sumDoubles returns the sum of all lanes of some vectors, in the first lane of one of
// them.
func (c *code) sumDoubles(all []reg.VecVirtual) reg.Register {
	for ; len(all) > 1; all = all[:len(all)/2] {
		for i := range len(all) / 2 {
			c.VADDPD(all[len(all)/2+i], all[i], all[i])
		}
	}
	v, other := all[0], c.any()
	if c.wide() {
		c.VEXTRACTF64X4(operand.Imm(1), v, other.AsY())
		c.VADDPD(other.AsY(), v.AsY(), v.AsY())
	}
	c.VEXTRACTF128(operand.Imm(1), v.AsY(), other.AsX())
	c.VADDPD(other.AsX(), v.AsX(), v.AsX())
	c.VUNPCKHPD(v.AsX(), v.AsX(), other.AsX())
	c.VADDSD(other.AsX(), v.AsX(), v.AsX())
	return v.AsX()
}

// sumSingles is sumDoubles for float32.
func (c *code) sumSingles(all []reg.VecVirtual) reg.Register {
	for ; len(all) > 1; all = all[:len(all)/2] {
		for i := range len(all) / 2 {
			c.VADDPS(all[len(all)/2+i], all[i], all[i])
		}
	}
	v, other := all[0], c.any()
	if c.wide() {
		c.VEXTRACTF64X4(operand.Imm(1), v, other.AsY())
		c.VADDPS(other.AsY(), v.AsY(), v.AsY())
	}
	c.VEXTRACTF128(operand.Imm(1), v.AsY(), other.AsX())
	c.VADDPS(other.AsX(), v.AsX(), v.AsX())
	c.VUNPCKHPD(v.AsX(), v.AsX(), other.AsX())
	c.VADDPS(other.AsX(), v.AsX(), v.AsX())
	c.VMOVSHDUP(v.AsX(), other.AsX())
	c.VADDSS(other.AsX(), v.AsX(), v.AsX())
	return v.AsX()
}

// result ends a function that returns the value of a register.
func (c *code) result(r reg.Register) {
	c.VZEROUPPER()
	c.Store(r, c.ReturnIndex(0))
	c.RET()
}
