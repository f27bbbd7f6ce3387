package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Predicates of comparisons; none signals a NaN.
const (
	unordered = 0x03
	ordered   = 0x07
	atMost    = 0x12
	notAtMost = 0x16 // or unordered
)

// writeWindows writes max pooling and its gradient.
func writeWindows(c *code) {
	for _, scaled := range []string{"", "Scaled"} {
		for _, kept := range []string{"", "Kept"} {
			c.maxWindows("maxWindows"+scaled+kept, scaled != "", kept != "")
		}
		for _, add := range []string{"", "Add"} {
			c.scatterWindows("scatterWindows"+scaled+add, scaled != "", add != "")
		}
	}
}

// search is the search for a maximum, channel by channel.
type search struct {
	*code
	best, position reg.VecVirtual
	element        reg.VecVirtual    // that was scaled to the best; nil if it is not kept
	number         reg.OpmaskVirtual // AVX-512: where the best is no NaN
	nan            reg.VecVirtual    // AVX2: where it is one
}

func (c *code) maxWindows(name string, scaled, kept bool) {
	c.routine(name, "(x, y *float32, position *uint8, kept, scale, shift *float32, offsets *int32, positions, count, step, channels int, limit float32)")
	w := &windows{code: c, at: c.GP64(), position: c.argument("position")}
	w.setNumbers()
	none, limit, zero := w.number(w.inMemory("positions")), c.everywhere("limit"), c.zeros()
	y := c.argument("y")
	w.results = append(w.results, y)
	var elements, scale, shift reg.GPVirtual
	if kept {
		elements = c.argument("kept")
		w.results = append(w.results, elements)
	}
	if scaled {
		scale, shift = w.common("scale"), w.common("shift")
	}
	w.rows(func(p part, four bool) {
		var factor, summand reg.VecVirtual
		if scaled {
			factor, summand = p.load(scale), p.load(shift)
		}
		// value returns what is compared, and the element itself if that is
		// another and is kept.
		value := func(at operand.Mem) (v, element reg.VecVirtual) {
			v = p.loadFrom(at)
			if !scaled {
				return v, nil
			}
			if kept {
				element = c.any()
				c.VMOVAPS(v, element)
			}
			c.VFMADD213PS(summand, factor, v)
			return v, element
		}
		var m *search
		w.eachPosition(four, func(at operand.Mem) {
			v, element := value(at)
			m = c.search(v, element)
		}, func(at operand.Mem, number reg.VecVirtual) {
			v, element := value(at)
			m.compare(v, element, number)
		})
		switch {
		case kept && scaled:
			p.store(m.element, elements)
		case kept:
			p.store(m.best, elements)
		}
		m.rectify(limit, zero, none)
		p.store(m.best, y)
		w.storeNumbers(p, m.position)
	})
}

// search begins with position 0.
func (c *code) search(v, element reg.VecVirtual) *search {
	m := &search{code: c, best: v, position: c.zeros(), element: element}
	if c.wide() {
		m.number = c.K()
		c.VCMPPS(operand.Imm(ordered), v, v, m.number)
	} else {
		m.nan = c.any()
		c.VCMPPS(operand.Imm(unordered), v, v, m.nan)
	}
	return m
}

// compare takes v for the best where it is larger or the first NaN.
func (m *search) compare(v, element, number reg.VecVirtual) {
	if m.wide() {
		better := m.K()
		m.VCMPPS(operand.Imm(notAtMost), m.best, v, m.number, better)
		m.VCMPPS(operand.Imm(ordered), v, v, m.number, m.number)
		m.VMOVAPS(v, better, m.best)
		m.VMOVDQU8(number.AsX(), better, m.position.AsX())
		if element != nil {
			m.VMOVAPS(element, better, m.element)
		}
		return
	}
	better, chosen, isNaN := m.any(), m.any(), m.any()
	m.VCMPPS(operand.Imm(notAtMost), m.best, v, better)
	m.VANDNPS(better, m.nan, better)
	m.VCMPPS(operand.Imm(unordered), v, v, isNaN)
	m.VORPS(isNaN, m.nan, m.nan)
	m.VBLENDVPS(better, v, m.best, m.best)
	m.VPAND(number, better, chosen) // numbers grow
	m.VPMAXUD(chosen, m.position, m.position)
	if element != nil {
		m.VBLENDVPS(better, element, m.element, m.element)
	}
}

// rectify makes bests up to a limit zero, and their position none. Nothing is
// up to a limit that is NaN.
func (m *search) rectify(limit, zero, none reg.VecVirtual) {
	if m.wide() {
		below := m.K()
		m.VCMPPS(operand.Imm(atMost), limit, m.best, below)
		m.VMOVAPS(zero, below, m.best)
		m.VMOVDQU8(none.AsX(), below, m.position.AsX())
		return
	}
	below := m.any()
	m.VCMPPS(operand.Imm(atMost), limit, m.best, below)
	m.VANDNPS(m.best, below, m.best)
	m.VBLENDVPS(below, none, m.position, m.position)
}
