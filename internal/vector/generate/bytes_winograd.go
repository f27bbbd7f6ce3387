package main

import (
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets of the fields of byteTilesCall, in bytes.
const (
	tilesX = 8 * iota
	tilesXOffsets
	tilesXRow
	tilesXPixel
	tilesV
	tilesVStride
	tilesVTile
	tilesCount   // counted down
	tilesVectors // of channels: 32 of the input, 16 of the output
	tilesLeft    // vectors of the present tile, for the assembly
	tilesAt      // bytes of offsets that are done; the pointers stay inside their arrays
	tilesVAt     // likewise of the values
	tilesScratch
	tilesY
	tilesYOffsets
	tilesYRow
	tilesYPixel
	tilesAddend // 0 for none
	tilesRows
	tilesColumns
	tilesInitial
	tilesShift
	tilesMultiplier
	tilesOffset   = 184 // vectors of 64 bytes from here on
	tilesRounding = tilesOffset + 64
	tilesAddends  = tilesOffset + 128
	tilesLow      = tilesOffset + 192
	tilesHigh     = tilesOffset + 256
	tilesOrder    = tilesOffset + 320
	tilesInverse  = tilesOffset + 384 // 4 bytes
)

// wordDot adds the two products of each lane, of signed numbers of 16 bits. avo does not have this
// instruction, of AVX512_VNNI.
func (c *code) wordDot(weights, words, sum operand.Op) {
	c.Instruction(&ir.Instruction{
		Opcode:   "VPDPWSSD",
		Operands: []operand.Op{weights, words, sum},
		Inputs:   []operand.Op{weights, words, sum},
		Outputs:  []operand.Op{sum},
		ISA:      []string{"AVX512VNNI"},
	})
}

// hasByteWinograd reports whether there are Winograd's algorithms for bytes, which need 32 registers and
// VPDPWSSD.
func (m *machine) hasByteWinograd() bool { return m.name == "avx512" }

// writeByteWinograd writes the transforms of Winograd's algorithms F(4×4, 3×3) and F(3×3, 4×4) in
// integers; see ByteTiles for the matrices.
func writeByteWinograd(c *code) {
	if !c.hasByteWinograd() {
		return
	}
	c.byteWinogradInput()
	for _, kernel := range []int{3, 4} {
		c.byteWinogradOutput(kernel)
	}
}

// byteWinogradInput writes Bᵀ·X·B of tiles of 6×6 pixels, of 32 channels at a time.
func (c *code) byteWinogradInput() {
	c.function("byteWinogradInput_" + c.name)
	call, at, pixel, v, stride, scratch, base := reg.RBP, reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI
	rows := []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13}
	c.call(call)
	field := func(offset int) operand.Mem { return operand.Mem{Base: call, Disp: offset} }
	c.MOVQ(field(tilesXPixel), pixel)
	c.MOVQ(field(tilesVStride), stride)
	c.MOVQ(field(tilesScratch), scratch)
	tile, block := c.label("tile"), c.label("block")
	c.Label(tile)
	c.MOVQ(field(tilesXOffsets), at)
	c.ADDQ(field(tilesAt), at)
	c.MOVLQSX(operand.Mem{Base: at}, base)
	c.ADDQ(operand.I8(4), field(tilesAt))
	c.ADDQ(field(tilesX), base)
	for _, row := range rows {
		c.MOVQ(base, row)
		c.ADDQ(field(tilesXRow), base)
	}
	c.MOVQ(field(tilesVectors), at)
	c.MOVQ(at, field(tilesLeft))
	c.MOVQ(field(tilesV), base)
	c.ADDQ(field(tilesVAt), base)
	c.Label(block)
	d := func(i int) reg.VecPhysical { return c.vector(i) }
	c.XORQ(at, at)
	for j := range 6 {
		for i, row := range rows {
			c.VPMOVZXBW(operand.Mem{Base: row, Index: at, Scale: 1}, d(i))
		}
		for i, transformed := range c.wordsInput(d) {
			c.VMOVDQU32(transformed, operand.Mem{Base: scratch, Disp: 64 * (6*i + j)})
		}
		if j < 5 {
			c.ADDQ(pixel, at)
		}
	}
	c.MOVQ(base, v)
	for i := range 6 {
		for j := range 6 {
			c.VMOVDQU32(operand.Mem{Base: scratch, Disp: 64 * (6*i + j)}, d(j))
		}
		for _, transformed := range c.wordsInput(d) {
			c.VMOVDQU32(transformed, operand.Mem{Base: v})
			c.ADDQ(stride, v)
		}
	}
	for _, row := range rows {
		c.ADDQ(operand.I8(32), row)
	}
	c.ADDQ(operand.I8(64), base)
	c.DECQ(field(tilesLeft))
	c.JNZ(operand.LabelRef(block))
	c.MOVQ(field(tilesVTile), at)
	c.ADDQ(at, field(tilesVAt))
	c.DECQ(field(tilesCount))
	c.JNZ(operand.LabelRef(tile))
	c.end()
}

// wordsInput returns Bᵀ times six vectors.
func (c *code) wordsInput(d func(i int) reg.VecPhysical) [6]reg.VecPhysical {
	r, p, t, q, twice, other := c.vector(6), c.vector(7), c.vector(8), c.vector(9), c.vector(10), c.vector(11)
	c.VPSUBW(d(2), d(0), d(0))
	c.VPSLLW(operand.Imm(2), d(0), d(0))
	c.VPSUBW(d(2), d(4), r)
	c.VPADDW(r, d(0), d(0)) // 4(d0 − d2) + d4 − d2
	c.VPSLLW(operand.Imm(2), d(2), d(2))
	c.VPSUBW(d(2), d(4), p) // d4 − 4d2
	c.VPSUBW(d(1), d(3), t)
	c.VPADDW(t, t, t) // 2(d3 − d1)
	c.VPSLLW(operand.Imm(2), d(1), d(1))
	c.VPSUBW(d(1), d(3), q) // d3 − 4d1
	c.VPSUBW(d(3), d(5), d(5))
	c.VPADDW(t, t, twice)
	c.VPSUBW(twice, d(5), d(5)) // d5 − d3 − 4(d3 − d1)
	c.VPADDW(q, p, other)
	c.VPSUBW(q, p, p)
	c.VPADDW(t, r, q)
	c.VPSUBW(t, r, r)
	return [6]reg.VecPhysical{d(0), other, p, q, r, d(5)}
}

// byteWinogradOutput writes the bytes of Aᵀ·M·A, of 16 channels at a time.
func (c *code) byteWinogradOutput(kernel int) {
	size := 7 - kernel // of a tile
	c.function(map[int]string{3: "byteWinogradOutput3_", 4: "byteWinogradOutput4_"}[kernel] + c.name)
	call, at, stride := reg.RBP, reg.RAX, reg.RBX
	y, other, pixel, pixels3 := reg.RCX, reg.RDX, reg.RSI, reg.RDI
	rows := []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13}
	from, to := reg.R14, reg.R15
	c.call(call)
	field := func(offset int) operand.Mem { return operand.Mem{Base: call, Disp: offset} }
	c.MOVQ(field(tilesVStride), stride)
	c.MOVQ(field(tilesYPixel), pixel)
	c.LEAQ(operand.Mem{Base: pixel, Index: pixel, Scale: 2}, pixels3)

	tile, block := c.label("tile"), c.label("block")
	c.Label(tile)
	c.MOVQ(field(tilesYOffsets), at)
	c.ADDQ(field(tilesAt), at)
	c.MOVLQSX(operand.Mem{Base: at}, to)
	c.ADDQ(operand.I8(4), field(tilesAt))
	c.MOVQ(field(tilesAddend), other)
	c.ADDQ(to, other)
	c.ADDQ(field(tilesY), to)
	c.MOVQ(field(tilesVectors), at)
	c.MOVQ(at, field(tilesLeft))
	c.MOVQ(field(tilesV), from)
	c.ADDQ(field(tilesVAt), from)
	c.Label(block)
	c.MOVQ(from, at)
	for _, row := range rows {
		c.MOVQ(at, row)
		for range 6 {
			c.ADDQ(stride, at)
		}
	}
	// The columns are transformed to sums in registers, the rows from there.
	s := func(i, j int) reg.VecPhysical { return c.vector(6*i + j) }
	temporary := func(i int) reg.VecPhysical { return c.vector(24 + i) }
	c.XORQ(at, at)
	for j := range 6 {
		m := func(i int) operand.Mem { return operand.Mem{Base: rows[i], Index: at, Scale: 1} }
		a, b, d, e := temporary(0), temporary(1), temporary(2), temporary(3)
		c.VMOVDQU32(m(1), b)
		c.VPADDD(m(2), b, a)
		c.VPSUBD(m(2), b, b)
		c.VMOVDQU32(m(3), e)
		c.VPADDD(m(4), e, d)
		c.VPSUBD(m(4), e, e)
		c.VPSLLD(operand.Imm(2), a, s(0, j))
		c.VPADDD(d, s(0, j), s(0, j))
		c.VPADDD(m(0), s(0, j), s(0, j))
		c.VPADDD(d, a, s(2, j))
		c.VPADDD(b, b, s(1, j))
		c.VPADDD(e, s(1, j), s(1, j))
		if size == 4 {
			c.VPADDD(e, e, s(3, j))
			c.VPADDD(b, s(3, j), s(3, j))
		}
		c.VPADDD(m(5), s(size-1, j), s(size-1, j))
		if j < 5 {
			c.ADDQ(stride, at)
		}
	}
	shift, multiplier, initial := rows[0], rows[1], rows[2]
	c.MOVQ(field(tilesShift), shift)
	c.MOVQ(field(tilesMultiplier), multiplier)
	c.MOVQ(field(tilesInitial), initial)
	// The pointers of parameters advance with the vectors.
	c.MOVQ(field(tilesVectors), at)
	c.SUBQ(field(tilesLeft), at)
	c.SHLQ(operand.Imm(6), at)
	for _, pointer := range []reg.GPPhysical{shift, multiplier, initial} {
		c.ADDQ(at, pointer)
	}
	scales, order := temporary(6), temporary(7)
	c.VMOVDQU32(operand.Mem{Base: multiplier}, scales)
	c.VPACKSSDW(scales, scales, scales)
	c.VMOVDQU32(field(tilesOrder), order)
	c.MOVQ(to, y)
	addend, done := rows[3], c.label("done")
	c.MOVQ(other, addend)
	exponents := []int{3, 2, 1, 1} // of two in the multiples that the sums are, in each direction
	for row := range size {
		if row > 0 {
			c.CMPQ(field(tilesRows), operand.I8(int8(row)))
			c.JLE(operand.LabelRef(done))
			c.ADDQ(field(tilesYRow), y)
			c.ADDQ(field(tilesYRow), addend)
		}
		a, b := s(row, 1), temporary(0)
		c.VPSUBD(s(row, 2), a, b)
		c.VPADDD(s(row, 2), a, a)
		d, e := s(row, 3), temporary(1)
		c.VPSUBD(s(row, 4), d, e)
		c.VPADDD(s(row, 4), d, d)
		results := []reg.VecPhysical{s(row, 0), temporary(2), s(row, 2), s(row, 4)}[:size]
		c.VPADDD(d, a, results[2])
		c.VPSLLD(operand.Imm(2), a, a)
		c.VPADDD(a, results[0], results[0])
		c.VPADDD(d, results[0], results[0])
		c.VPADDD(b, b, results[1])
		c.VPADDD(e, results[1], results[1])
		if size == 4 {
			c.VPADDD(e, e, results[3])
			c.VPADDD(b, results[3], results[3])
		}
		c.VPADDD(s(row, 5), results[size-1], results[size-1])
		for column, r := range results {
			// Nine divides the sums; its inverse modulo 2^32 gives the quotient.
			c.VPMULLD_BCST(field(tilesInverse), r, r)
			c.VPSRAD(operand.Imm(uint64(exponents[row]+exponents[column])), r, r)
			c.VPADDD(operand.Mem{Base: initial}, r, r)
			c.VPSRAVD(operand.Mem{Base: shift}, r, r)
		}
		words := []reg.VecPhysical{results[0], results[2]}
		c.VPACKSSDW(results[1], words[0], words[0])
		c.VPACKSSDW(results[size-1], words[1], words[1])
		for _, w := range words {
			c.VPMULHRSW(scales, w, w)
		}
		pixelOf := func(base reg.Register, column int) operand.Mem {
			return []operand.Mem{{Base: base}, {Base: base, Index: pixel, Scale: 1}, {Base: base, Index: pixel, Scale: 2}, {Base: base, Index: pixels3, Scale: 1}}[column]
		}
		none := c.label("none")
		c.CMPQ(field(tilesAddend), operand.I8(0))
		c.JEQ(operand.LabelRef(none))
		addends, part := temporary(3), temporary(4)
		loaded := c.label("loaded")
		c.VMOVDQU32(pixelOf(addend, 0), addends.AsX())
		for column := 1; column < size; column++ {
			c.CMPQ(field(tilesColumns), operand.I8(int8(column)))
			c.JLE(operand.LabelRef(loaded))
			c.VINSERTI32X4(operand.Imm(uint64(column)), pixelOf(addend, column), addends, addends)
		}
		c.Label(loaded)
		c.VPERMD(addends, order, addends)
		for i, w := range words {
			c.VPXORD(part, part, part)
			if i == 0 {
				c.VPUNPCKLBW(addends, part, part)
			} else {
				c.VPUNPCKHBW(addends, part, part)
			}
			c.VPMULHUW(field(tilesAddends), part, part)
			c.VPADDSW(part, w, w)
		}
		c.Label(none)
		for _, w := range words {
			c.VPADDSW(field(tilesOffset), w, w)
			c.VPMULHRSW(field(tilesRounding), w, w)
		}
		c.VPACKUSWB(words[1], words[0], words[0])
		c.VPMAXUB(field(tilesLow), words[0], words[0])
		c.VPMINUB(field(tilesHigh), words[0], words[0])
		c.VPERMD(words[0], order, words[0])
		stored := c.label("stored")
		c.VMOVDQU32(words[0].AsX(), pixelOf(y, 0))
		for column := 1; column < size; column++ {
			c.CMPQ(field(tilesColumns), operand.I8(int8(column)))
			c.JLE(operand.LabelRef(stored))
			c.VEXTRACTI32X4(operand.Imm(uint64(column)), words[0], pixelOf(y, column))
		}
		c.Label(stored)
	}
	c.Label(done)
	c.ADDQ(operand.I8(64), from)
	c.ADDQ(operand.I8(16), to)
	c.ADDQ(operand.I8(16), other)
	c.DECQ(field(tilesLeft))
	c.JNZ(operand.LabelRef(block))
	c.MOVQ(field(tilesVTile), at)
	c.ADDQ(at, field(tilesVAt))
	c.DECQ(field(tilesCount))
	c.JNZ(operand.LabelRef(tile))
	c.end()
}
