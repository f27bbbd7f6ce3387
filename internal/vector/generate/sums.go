package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// writeSums writes the sums over rows in double precision.
func writeSums(c *code) {
	c.sumRows()
	c.sumSquares()
	c.sumProducts()
}

func (c *code) sumRows() {
	c.routine("sumRows", "(sum *float64, x *float32, rows, channels int)")
	l := c.channels()
	x := l.rows("x")
	l.each(c.several(), func(parts []part) (row, end func()) {
		to := l.of("sum", 2)
		sums := loadSums(parts, to)
		return func() {
				for i, p := range parts {
					for half, v := range p.loadWide(x) {
						c.VADDPD(v, sums[i][half], sums[i][half])
					}
				}
			}, func() {
				storeSums(parts, sums, to)
			}
	})
}

func (c *code) sumSquares() {
	c.routine("sumSquares", "(sum *float64, x, mean *float32, rows, channels int)")
	l := c.channels()
	x := l.rows("x")
	l.each(c.several(), func(parts []part) (row, end func()) {
		to, mean := l.of("sum", 2), loadMeans(parts, l.of("mean", 1))
		sums := loadSums(parts, to)
		return func() {
				for i, p := range parts {
					for half, v := range p.loadWide(x) {
						c.VSUBPD(mean[i][half], v, v)
						c.VFMADD231PD(v, v, sums[i][half])
					}
				}
			}, func() {
				storeSums(parts, sums, to)
			}
	})
}

func (c *code) sumProducts() {
	c.routine("sumProducts", "(sum *float64, x, dy, mean *float32, rows, channels int)")
	l := c.channels()
	x, dy := l.rows("x"), l.rows("dy")
	l.each(c.several(), func(parts []part) (row, end func()) {
		along, mean := l.of("sum", 2), loadMeans(parts, l.of("mean", 1))
		plain := c.argument("channels")
		c.LEAQ(operand.Mem{Base: along, Index: plain, Scale: 8}, plain)
		alongSums, plainSums := loadSums(parts, along), loadSums(parts, plain)
		return func() {
				for i, p := range parts {
					slope := p.loadWide(dy)
					for half, v := range p.loadWide(x) {
						c.VSUBPD(mean[i][half], v, v)
						c.VFMADD231PD(v, slope[half], alongSums[i][half])
						c.VADDPD(slope[half], plainSums[i][half], plainSums[i][half])
					}
				}
			}, func() {
				storeSums(parts, alongSums, along)
				storeSums(parts, plainSums, plain)
			}
	})
}

func loadSums(parts []part, from reg.GPVirtual) []doubles {
	var all []doubles
	for _, p := range parts {
		all = append(all, p.loadDoubles(from))
	}
	return all
}

func storeSums(parts []part, sums []doubles, to reg.GPVirtual) {
	for i, p := range parts {
		p.storeDoubles(sums[i], to)
	}
}

func loadMeans(parts []part, from reg.GPVirtual) []doubles {
	var all []doubles
	for _, p := range parts {
		all = append(all, p.loadWide(from))
	}
	return all
}
