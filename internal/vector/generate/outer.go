package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets of the fields of outerCall, in bytes.
const (
	outerC       = 8 * iota
	outerCStride // bytes
	outerA
	outerAOffsets
	outerB
	outerBOffsets
	outerCount
	outerAdd
	outerMask
)

// writeOuter writes the tiles of Outer, of every width and height: sums of outer products
// of short runs of elements with parts of rows.
func writeOuter(c *code) {
	for width := 1; width < len(c.rows); width++ {
		for rows := 1; rows <= c.rows[width]; rows++ {
			c.outerTile(width, rows)
		}
	}
}

func outerName(m *machine, width, rows int) string {
	return fmt.Sprintf("outer_%s_%dx%d", m.name, width, rows)
}

func (c *code) outerTile(width, rows int) {
	call, a, aOffsets, b, bOffsets, count, stride := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI, reg.R8
	runs, parts := [2]reg.Register{reg.R9, reg.R10}, [2]reg.Register{reg.R11, reg.R12}
	c.function(outerName(c.machine, width, rows))
	c.call(call)
	mask := c.vector(c.registers - 1)
	c.loadMask(call, outerMask, mask)
	sum := func(row, v int) reg.VecPhysical { return c.vector(row*width + v) }
	for i := range width * rows {
		c.zero(c.vector(i))
	}
	c.MOVQ(operand.Mem{Base: call, Disp: outerA}, a)
	c.MOVQ(operand.Mem{Base: call, Disp: outerAOffsets}, aOffsets)
	c.MOVQ(operand.Mem{Base: call, Disp: outerB}, b)
	c.MOVQ(operand.Mem{Base: call, Disp: outerBOffsets}, bOffsets)
	c.MOVQ(operand.Mem{Base: call, Disp: outerCount}, count)

	first := width * rows
	spare := c.registers - 1 - first - width
	if c.wide() {
		spare++
	}
	address := func(k int) {
		c.MOVLQSX(operand.Mem{Base: aOffsets, Disp: 4 * k}, runs[k])
		c.MOVLQSX(operand.Mem{Base: bOffsets, Disp: 4 * k}, parts[k])
		c.LEAQ(operand.Mem{Base: a, Index: runs[k], Scale: 4}, runs[k])
		c.LEAQ(operand.Mem{Base: b, Index: parts[k], Scale: 4}, parts[k])
	}
	masked := true
	step := func(k int) {
		for v := range width {
			from := operand.Mem{Base: parts[k], Disp: v * c.lanes * 4}
			if v == width-1 && masked {
				c.loadMasked(from, c.vector(first+v), mask)
			} else {
				c.VMOVUPS(from, c.vector(first+v))
			}
		}
		for row := range rows {
			element := operand.Mem{Base: runs[k], Disp: 4 * row}
			if width == 1 && c.multipliesMemory() {
				c.VFMADD231PS_BCST(element, c.vector(first), c.vector(row))
				continue
			}
			broadcast := c.vector(first + width + row%spare)
			c.VBROADCASTSS(element, broadcast)
			for v := range width {
				c.product(sum(row, v), broadcast, c.vector(first+v))
			}
		}
	}
	// C, to which the sums are added, is probably not in the cache: prefetch it.
	c.MOVQ(operand.Mem{Base: call, Disp: outerC}, parts[0])
	c.MOVQ(operand.Mem{Base: call, Disp: outerCStride}, stride)
	for range rows {
		for v := range width {
			c.PREFETCHT0(operand.Mem{Base: parts[0], Disp: v * c.lanes * 4})
		}
		c.ADDQ(stride, parts[0])
	}
	sumUp := func() {
		loop, single, done := c.label("loop"), c.label("single"), c.label("done")
		c.SUBQ(operand.I8(2), count)
		c.JLT(operand.LabelRef(single))
		c.Label(loop)
		address(0)
		address(1)
		step(0)
		step(1)
		c.ADDQ(operand.I8(8), aOffsets)
		c.ADDQ(operand.I8(8), bOffsets)
		c.SUBQ(operand.I8(2), count)
		c.JGE(operand.LabelRef(loop))
		c.Label(single)
		c.ADDQ(operand.I8(2), count)
		c.JZ(operand.LabelRef(done))
		address(0)
		step(0)
		c.Label(done)
	}
	if c.wide() {
		sumUp()
	} else { // loads with a mask are slower
		part, summed := c.label("part"), c.label("summed")
		c.CMPQ(operand.Mem{Base: call, Disp: outerMask}, operand.U32(1<<c.lanes-1))
		c.JNE(operand.LabelRef(part))
		masked = false
		sumUp()
		c.JMP(operand.LabelRef(summed))
		c.Label(part)
		masked = true
		sumUp()
		c.Label(summed)
	}

	c.MOVQ(operand.Mem{Base: call, Disp: outerC}, a)
	c.MOVQ(operand.Mem{Base: call, Disp: outerCStride}, stride)
	old := c.vector(first)
	c.results(operand.Mem{Base: call, Disp: outerAdd}, operand.Mem{Base: call, Disp: outerMask}, c.end, func(add, masked bool) {
		for row := range rows {
			for v := range width {
				at := operand.Mem{Base: a, Disp: v * c.lanes * 4}
				c.putResult(at, at, sum(row, v), old, mask, add, masked && v == width-1, func() {})
			}
			c.ADDQ(stride, a)
		}
	})
}
