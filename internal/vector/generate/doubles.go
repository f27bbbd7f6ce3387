package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// doubles is a vector's lanes in double precision: their lower half and their
// upper half.
type doubles [2]reg.VecVirtual

func (c *code) zeroDoubles() doubles { return doubles{c.zeros(), c.zeros()} }

// widen returns a vector in double precision.
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

// loadWide loads float32s in double precision.
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

// inDoubles is a half of the part in an array of float64.
func (p part) inDoubles(array reg.GPVirtual, half int) operand.Mem {
	return operand.Mem{Base: array, Disp: (2*p.vector + half) * 4 * p.lanes}
}

// loadDoubles loads float64s.
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

// half returns the mask of a half of the lanes.
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

// sumDoubles returns the sum of all lanes of some vectors, in the first lane of
// one of them.
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

// sumSingles is the same for float32.
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

// result ends a function that returns a register.
func (c *code) result(r reg.Register) {
	c.VZEROUPPER()
	c.Store(r, c.ReturnIndex(0))
	c.RET()
}
