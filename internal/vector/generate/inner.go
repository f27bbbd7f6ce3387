package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// innerTile returns the number of rows and columns of a tile of inner products. The sums, one
// row of columns and one or more elements of rows fit in the registers.
func (m *machine) innerTile() (rows, columns int) {
	switch m.name {
	case "avx512":
		return 8, 24
	case "avx2":
		return 4, 12
	}
	return 4, 12 // NEON
}

// writeInner writes inner products in double precision. n must be at least 1, stride is in
// bytes. Products of float32 numbers are exact in double precision, so that a fused
// multiply-add equals a multiplication and an addition.
func writeInner(c *code) {
	rows, columns := c.innerTile()
	lanes := c.lanes / 2
	vectors := columns / lanes

	c.routine("innerProducts", "(c *float64, stride int, a, b *float64, n int)")
	to, stride := c.argument("c"), c.argument("stride")
	a, b, n := c.argument("a"), c.argument("b"), c.argument("n")
	sums := make([][]reg.VecVirtual, rows)
	row := c.GP64()
	c.MOVQ(to, row)
	for i := range sums {
		for v := range vectors {
			sum := c.any()
			c.VMOVUPD(operand.Mem{Base: row, Disp: 8 * v * lanes}, sum)
			sums[i] = append(sums[i], sum)
		}
		c.ADDQ(stride, row)
	}
	loop := c.label("loop")
	c.Label(loop)
	column := make([]reg.VecVirtual, vectors)
	for v := range column {
		column[v] = c.any()
		c.VMOVUPD(operand.Mem{Base: b, Disp: 8 * v * lanes}, column[v])
	}
	for i := range sums {
		element := c.any()
		c.VBROADCASTSD(operand.Mem{Base: a, Disp: 8 * i}, element)
		for v := range column {
			c.VFMADD231PD(column[v], element, sums[i][v])
		}
	}
	c.ADDQ(operand.I32(8*rows), a)
	c.ADDQ(operand.I32(8*columns), b)
	c.DECQ(n)
	c.JNZ(operand.LabelRef(loop))
	for i := range sums {
		for v, sum := range sums[i] {
			c.VMOVUPD(sum, operand.Mem{Base: to, Disp: 8 * v * lanes})
		}
		c.ADDQ(stride, to)
	}
	c.end()

	c.routine("innerSquares", "(sum, b *float64, n int)")
	to, b, n = c.argument("sum"), c.argument("b"), c.argument("n")
	for v := range column {
		column[v] = c.any()
		c.VMOVUPD(operand.Mem{Base: to, Disp: 8 * v * lanes}, column[v])
	}
	loop = c.label("loop")
	c.Label(loop)
	for v, sum := range column {
		element := c.any()
		c.VMOVUPD(operand.Mem{Base: b, Disp: 8 * v * lanes}, element)
		c.VFMADD231PD(element, element, sum)
	}
	c.ADDQ(operand.I32(8*columns), b)
	c.DECQ(n)
	c.JNZ(operand.LabelRef(loop))
	for v, sum := range column {
		c.VMOVUPD(sum, operand.Mem{Base: to, Disp: 8 * v * lanes})
	}
	c.end()

	c.routine("widen", "(y *float64, x *float32, n int)")
	y, x, left := c.argument("y"), c.argument("x"), c.argument("n")
	// y is listed twice because its elements are twice as large.
	c.eachVector(left, 4, []reg.GPVirtual{x, y, y}, func(p part) { p.storeDoubles(p.loadWide(x), y) })
	c.end()
}
