package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets of the fields of rowsCall, in bytes.
const (
	rowsC = 8 * iota
	rowsCOffsets
	rowsA
	rowsAOffsets
	rowsB
	rowsInitial
	rowsLength // bytes of a segment
	rowsSkip   // bytes from the end of a segment to the next one
	rowsSegments
	rowsAdd
	rowsFloor // of clipping: two float32
	rowsTiles // counted down
	rowsLeft  // segments of the present tile
	rowsAt    // bytes of offsets that are done; the pointers stay inside their arrays
	rowsAhead // the address that is prefetched next
	rowsAheadStep
	rowsMask
	rowsAddend = rowsMask + 40 // after the mask
)

// Every rowsUnroll elements of each row, two cache lines are prefetched by tiles of at least
// rowsAheadWidth vectors: those of one vector are limited by loads. Package vector has the same
// numbers.
const (
	rowsUnroll     = 4
	rowsAheadWidth = 2
)

// writeRows writes the tiles of Rows, of every width and height: sums of products of rows,
// broadcast element by element, with packed columns. All sums stay in registers.
func writeRows(c *code) {
	for width := 1; width < len(c.rows); width++ {
		for rows := 1; rows <= c.rows[width]; rows++ {
			c.rowsTile(width, rows)
		}
	}
}

func rowsName(m *machine, width, rows int) string {
	return fmt.Sprintf("rows_%s_%dx%d", m.name, width, rows)
}

var pointers = []reg.GPPhysical{
	reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI, reg.R8, reg.R9,
	reg.R10, reg.R11, reg.R12, reg.R13,
}

func (c *code) rowsTile(width, rows int) {
	offset, columns, end := reg.R14, reg.R15, reg.RBP
	c.function(rowsName(c.machine, width, rows))
	c.call(end)
	c.loadMask(end, rowsMask, c.vector(c.registers-1))
	// There are not enough registers for the end of the loop and the address that is prefetched.
	prefetches := width >= rowsAheadWidth
	var limit, ahead, aheadStep operand.Mem
	if prefetches {
		limit, ahead, aheadStep = c.AllocLocal(8), c.AllocLocal(8), c.AllocLocal(8)
		c.MOVQ(operand.Mem{Base: end, Disp: rowsAhead}, offset)
		c.MOVQ(offset, ahead)
		c.MOVQ(operand.Mem{Base: end, Disp: rowsAheadStep}, offset)
		c.MOVQ(offset, aheadStep)
	}

	tile := c.label("tile")
	c.Label(tile)
	c.MOVQ(operand.Mem{Base: end, Disp: rowsSegments}, offset)
	c.MOVQ(offset, operand.Mem{Base: end, Disp: rowsLeft})
	// The sums begin with the initial row, or zero.
	sum := func(row, v int) reg.VecPhysical { return c.vector(row*width + v) }
	zero, begun := c.label("zero"), c.label("begun")
	c.MOVQ(operand.Mem{Base: end, Disp: rowsInitial}, columns)
	c.TESTQ(columns, columns)
	c.JZ(operand.LabelRef(zero))
	for v := range width {
		from := operand.Mem{Base: columns, Disp: v * c.lanes * 4}
		if v == width-1 {
			c.loadMasked(from, sum(0, v), c.vector(c.registers-1))
		} else {
			c.VMOVUPS(from, sum(0, v))
		}
		for row := 1; row < rows; row++ {
			c.VMOVAPS(sum(0, v), sum(row, v))
		}
	}
	c.JMP(operand.LabelRef(begun))
	c.Label(zero)
	for i := range width * rows {
		c.zero(c.vector(i))
	}
	c.Label(begun)

	// C, and what is added to it, are probably not in the level 1 cache: prefetch them.
	apart := c.label("apart")
	c.MOVQ(operand.Mem{Base: end, Disp: rowsCOffsets}, offset)
	c.ADDQ(operand.Mem{Base: end, Disp: rowsAt}, offset)
	c.MOVQ(operand.Mem{Base: end, Disp: rowsC}, columns)
	for row := range rows {
		c.rowAddress(row, offset, columns)
		for v := range width {
			c.PREFETCHT0(operand.Mem{Base: pointers[row], Disp: v * c.lanes * 4})
		}
	}
	c.CMPQ(operand.Mem{Base: end, Disp: rowsAdd}, operand.I8(0))
	c.JEQ(operand.LabelRef(apart))
	c.addendDistance(columns, end)
	for row := range rows {
		for v := range width {
			c.PREFETCHT0(operand.Mem{Base: pointers[row], Index: end, Scale: 1, Disp: v * c.lanes * 4})
		}
	}
	c.call(end)
	c.Label(apart)

	// A pointer to each row.
	c.MOVQ(operand.Mem{Base: end, Disp: rowsAOffsets}, offset)
	c.ADDQ(operand.Mem{Base: end, Disp: rowsAt}, offset)
	c.MOVQ(operand.Mem{Base: end, Disp: rowsA}, columns)
	for row := range rows {
		c.MOVLQSX(operand.Mem{Base: offset, Disp: 4 * row}, pointers[row])
		c.LEAQ(operand.Mem{Base: columns, Index: pointers[row], Scale: 4}, pointers[row])
	}
	c.MOVQ(operand.Mem{Base: end, Disp: rowsB}, columns)
	c.XORQ(offset, offset)

	segment, loop, rest, restLoop, next := c.label("segment"), c.label("loop"), c.label("rest"), c.label("restLoop"), c.label("next")
	const unroll = rowsUnroll
	c.Label(segment)
	c.MOVQ(operand.Mem{Base: end, Disp: rowsLength}, end)
	c.LEAQ(operand.Mem{Base: offset, Index: end, Scale: 1, Disp: -4 * (unroll - 1)}, end)
	c.CMPQ(offset, end)
	c.JGE(operand.LabelRef(rest))
	if prefetches {
		c.MOVQ(end, limit)
		c.MOVQ(ahead, end)
	}
	c.Label(loop)
	for k := range unroll {
		c.rowsStep(width, rows, k, offset, columns)
	}
	if prefetches {
		c.PREFETCHT1(operand.Mem{Base: end})
		c.PREFETCHT1(operand.Mem{Base: end, Disp: 64})
		c.ADDQ(aheadStep, end)
	}
	c.ADDQ(operand.I32(unroll*width*c.lanes*4), columns)
	c.ADDQ(operand.I8(4*unroll), offset)
	if prefetches {
		c.CMPQ(offset, limit)
	} else {
		c.CMPQ(offset, end)
	}
	c.JLT(operand.LabelRef(loop))
	if prefetches {
		c.MOVQ(end, ahead)
		c.MOVQ(limit, end)
	}
	c.Label(rest)
	c.ADDQ(operand.I8(4*(unroll-1)), end)
	c.CMPQ(offset, end)
	c.JGE(operand.LabelRef(next))
	c.Label(restLoop)
	c.rowsStep(width, rows, 0, offset, columns)
	c.ADDQ(operand.I32(width*c.lanes*4), columns)
	c.ADDQ(operand.I8(4), offset)
	c.CMPQ(offset, end)
	c.JLT(operand.LabelRef(restLoop))
	c.Label(next)
	c.call(end)
	c.ADDQ(operand.Mem{Base: end, Disp: rowsSkip}, offset)
	c.SUBQ(operand.I8(1), operand.Mem{Base: end, Disp: rowsLeft})
	c.JNZ(operand.LabelRef(segment))

	// Store or add.
	c.MOVQ(operand.Mem{Base: end, Disp: rowsCOffsets}, offset)
	c.ADDQ(operand.Mem{Base: end, Disp: rowsAt}, offset)
	c.MOVQ(operand.Mem{Base: end, Disp: rowsC}, columns)
	mask, old := c.vector(c.registers-1), c.vector(width*rows)
	if c.registers-1 < width*rows {
		panic("no register for the mask")
	}
	floor, most := c.vector(width*rows+1), c.vector(width*rows+2)
	if c.registers-1 < width*rows+3 {
		panic("no registers for clipping")
	}
	c.VBROADCASTSS(operand.Mem{Base: end, Disp: rowsFloor}, floor)
	c.VBROADCASTSS(operand.Mem{Base: end, Disp: rowsFloor + 4}, most)
	done := c.label("done")
	finish := func() { c.JMP(operand.LabelRef(done)) }
	c.results(operand.Mem{Base: end, Disp: rowsAdd}, operand.Mem{Base: end, Disp: rowsMask}, finish, func(add, masked bool) {
		if add {
			c.addendDistance(columns, end)
		}
		for row := range rows {
			c.rowAddress(row, offset, columns)
			for v := range width {
				at := operand.Mem{Base: pointers[row], Disp: v * c.lanes * 4}
				from := at
				from.Index, from.Scale = end, 1
				c.putResult(at, from, sum(row, v), old, mask, add, masked && v == width-1, func() { c.clip(sum(row, v), floor, most) })
			}
		}
		if add {
			c.call(end)
		}
	})
	c.Label(done)
	c.ADDQ(operand.I8(4*rows), operand.Mem{Base: end, Disp: rowsAt})
	c.DECQ(operand.Mem{Base: end, Disp: rowsTiles})
	c.JNZ(operand.LabelRef(tile))
	c.end()
}

// results writes the end of a tile: store, and finish after it, is written for each way of storing
// the sums, of which one is chosen. Stores with a mask are slow in AVX2 on some processors (AMD Zen), so there they
// are used only if the last vector is not whole.
func (c *code) results(adds, mask operand.Mem, finish func(), store func(add, masked bool)) {
	masks := []bool{true}
	whole := c.label("whole")
	if !c.wide() {
		masks = []bool{true, false}
		c.CMPQ(mask, operand.U32(1<<c.lanes-1))
		c.JEQ(operand.LabelRef(whole))
	}
	for _, masked := range masks {
		if !masked {
			c.Label(whole)
		}
		plain := c.label("store")
		c.CMPQ(adds, operand.I8(0))
		c.JEQ(operand.LabelRef(plain))
		store(true, masked)
		finish()
		c.Label(plain)
		store(false, masked)
		finish()
	}
}

// clip replaces what is less than the floor, or larger than the limit, by these. If an operand is
// NaN, the result is the second source, which is v.
func (c *code) clip(v, floor, limit reg.VecPhysical) {
	c.VMAXPS(v, floor, v)
	c.VMINPS(v, limit, v)
}

// addendDistance replaces the call by the distance from C, whose address is given, to what is added to it.
func (c *code) addendDistance(to, call reg.Register) {
	c.MOVQ(operand.Mem{Base: call, Disp: rowsAddend}, call)
	c.SUBQ(to, call)
}

// putResult stores a sum, or its sum with the values at another address, after a last operation.
func (c *code) putResult(at, from operand.Mem, sum, old, mask reg.VecPhysical, add, masked bool, last func()) {
	switch {
	case add && masked:
		c.loadMasked(from, old, mask)
		c.VADDPS(old, sum, sum)
	case add:
		c.VADDPS(from, sum, sum)
	}
	last()
	if masked {
		c.storeMasked(sum, at, mask)
	} else {
		c.VMOVUPS(sum, at)
	}
}

func (c *code) rowAddress(row int, offsets, base reg.Register) {
	c.MOVLQSX(operand.Mem{Base: offsets, Disp: 4 * row}, pointers[row])
	c.LEAQ(operand.Mem{Base: base, Index: pointers[row], Scale: 4}, pointers[row])
}

// rowsStep multiplies element k of each row by a row of the packed columns.
func (c *code) rowsStep(width, rows, k int, offset, columns reg.Register) {
	first := width * rows
	spare := c.registers - 1 - first - width // the last holds the mask on some machines
	if c.wide() {
		spare++
	}
	for v := range width {
		c.VMOVUPS(operand.Mem{Base: columns, Disp: (k*width + v) * c.lanes * 4}, c.vector(first+v))
	}
	for row := range rows {
		element := operand.Mem{Base: pointers[row], Index: offset, Scale: 1, Disp: 4 * k}
		if width == 1 && c.multipliesMemory() {
			c.VFMADD231PS_BCST(element, c.vector(first), c.vector(row))
			continue
		}
		broadcast := c.vector(first + width + row%spare)
		c.VBROADCASTSS(element, broadcast)
		for v := range width {
			c.product(c.vector(row*width+v), broadcast, c.vector(first+v))
		}
	}
}
