package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// ceilingSums is the number of sums of a ceiling: as many wait for each other as
// a processor works on at once, and more.
const ceilingSums = 12

// writeCeiling writes fused multiply-adds that wait for nothing, neither for
// memory nor for each other.
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
