package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func (c *code) scatterWindows(name string, scaled, add bool) {
	c.routine(name, "(x, y *float32, position *uint8, scale *float32, offsets *int32, positions, count, step, channels int)")
	w := &windows{code: c, at: c.GP64(), position: c.argument("position")}
	w.setNumbers()
	y := c.argument("y")
	w.results = append(w.results, y)
	var scale reg.GPVirtual
	if scaled {
		scale = w.common("scale")
	}
	w.rows(func(p part, four bool) {
		v := p.load(y)
		if scaled {
			c.VMULPS(p.load(scale), v, v)
		}
		positions := w.loadNumbers(p)
		put := func(at operand.Mem, number reg.VecVirtual) {
			p.storeTo(w.where(p, positions, number, v, at, add), at)
		}
		w.eachPosition(four, func(at operand.Mem) { put(at, w.numbers[0]) }, put)
	})
}

// where returns v where the positions have a number, and zero elsewhere; or,
// to add, what that and the elements that were there sum up to.
func (w *windows) where(p part, positions, number, v reg.VecVirtual, at operand.Mem, add bool) reg.VecVirtual {
	if w.wide() {
		here := w.K()
		w.VPCMPEQB(number.AsX(), positions.AsX(), here)
		if add {
			sum := p.loadFrom(at)
			w.VADDPS(v, sum, here, sum)
			return sum
		}
		chosen := w.any()
		w.VMOVAPS_Z(v, here, chosen)
		return chosen
	}
	chosen := w.any()
	w.VPCMPEQD(number, positions, chosen)
	w.VPAND(v, chosen, chosen)
	if add {
		w.VADDPS(p.loadFrom(at), chosen, chosen)
	}
	return chosen
}
