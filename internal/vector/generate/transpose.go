package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// writeTranspose writes transposes of square blocks that lie side by side.
// Lane l of a vector, of four elements, holds elements of row 4l + m: once four
// such vectors, of all m, are transposed within their lanes, they are columns.
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
	fours := []reg.GPVirtual{c.argument("x")} // the first of each four rows
	for len(fours) < side/4 {
		next := c.GP64()
		c.LEAQ(operand.Mem{Base: fours[len(fours)-1], Index: xStride, Scale: 4}, next)
		fours = append(fours, next)
	}
	blocks, loop := c.argument("blocks"), c.label("block")
	c.Label(loop)
	// All of a row is loaded at once, since where the stride is a power of two
	// the cache may not keep as many rows.
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

// fourth is row m of four.
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
