package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets of the fields of byteRowsCall, in bytes.
const (
	byteX = 8 * iota
	byteXOffsets
	byteB
	byteInitial
	byteLength // bytes of a segment
	byteSkip   // bytes from the end of a segment to the next one
	byteSegments
	byteLeft  // segments of the present tile
	byteTiles // counted down
	byteAt    // bytes of offsets that are done; the pointers stay inside their arrays
	byteY
	byteYOffsets
	byteSums   // 0 for bytes
	byteAddend // 0 for none
	byteMultiplier
	byteNegative // 0 for none
	byteMask     // of the bytes of a row
	byteColumns
	byteZero        // two int16
	byteAddendZero  = byteZero + 4
	byteLow         = byteZero + 8
	byteHigh        = byteZero + 12
	byteRowsScaling = byteZero + 16                 // byteScaling
	byteOrder       = byteRowsScaling + scalingSize // 16 bytes
	byteBuffer      = byteOrder + 16                // 32 bytes
	byteNext        = byteBuffer + 32               // of the memory that is prefetched
	byteNextEnd     = byteNext + 8
)

// byteRows are the largest numbers of rows of tiles of ByteRows, by their width in vectors.
func (m *machine) byteRows() []int {
	if m.name == "avx512" {
		return []int{0, 12, 12, 8, 6}
	}
	return []int{0, 8, 4}
}

// byteStep is the number of bytes of a vector of a panel for four bytes of a row: AVX2 has weights
// of 16 bits.
const byteStep = 64

func byteRowsName(m *machine, width, rows int) string {
	return fmt.Sprintf("byteRows_%s_%dx%d", m.name, width, rows)
}

// byteTable returns the table of the functions for bytes, and their declarations.
func byteTable(m *machine, routines []routine) string {
	table := fmt.Sprintf("var %sBytes = &ByteSet{\nname: %q,\nlanes: %d,\nrows: [][]func(*byteRowsCall){nil,\n", m.name, m.name, m.lanes)
	declarations := ""
	for width := 1; width < len(m.byteRows()); width++ {
		table += "{nil,"
		for rows := 1; rows <= m.byteRows()[width]; rows++ {
			name := byteRowsName(m, width, rows)
			table += name + ","
			declarations += fmt.Sprintf("//go:noescape\nfunc %s(call *byteRowsCall)\n\n", name)
		}
		table += "},\n"
	}
	depthwise, more := byteDepthwiseTable(m)
	declarations += more
	table += "},\n" + depthwise + "byteRoutines: byteRoutines{\n"
	for _, r := range routines {
		table += fmt.Sprintf("%s: %s,\n", r.name, r.symbol(m))
		declarations += fmt.Sprintf("//go:noescape\nfunc %s%s\n\n", r.symbol(m), r.signature)
	}
	return table + "},\n}\n\n" + declarations
}

// writeByteRows writes the tiles of ByteRows. Four bytes of each row are broadcast and multiplied
// by four weights of each column. The sums stay in registers until they are bytes.
func writeByteRows(c *code) {
	for width := 1; width < len(c.byteRows()); width++ {
		for rows := 1; rows <= c.byteRows()[width]; rows++ {
			c.byteTile(width, rows)
		}
	}
}

func (c *code) byteTile(width, rows int) {
	offset, columns, end := reg.R14, reg.R15, reg.RBP
	c.function(byteRowsName(c.machine, width, rows))
	c.call(end)
	field := func(offset int) operand.Mem { return operand.Mem{Base: end, Disp: offset} }
	sum := func(row, v int) reg.VecPhysical { return c.vector(row*width + v) }

	tile := c.label("tile")
	c.Label(tile)
	c.MOVQ(field(byteSegments), offset)
	c.MOVQ(offset, field(byteLeft))
	c.MOVQ(field(byteInitial), columns)
	for v := range width {
		c.VMOVUPS(operand.Mem{Base: columns, Disp: 4 * v * c.lanes}, sum(0, v))
		for row := 1; row < rows; row++ {
			c.VMOVAPS(sum(0, v), sum(row, v))
		}
	}
	c.MOVQ(field(byteXOffsets), offset)
	c.ADDQ(field(byteAt), offset)
	c.MOVQ(field(byteX), columns)
	for row := range rows {
		c.MOVLQSX(operand.Mem{Base: offset, Disp: 4 * row}, pointers[row])
		c.ADDQ(columns, pointers[row])
	}
	c.MOVQ(field(byteB), columns)
	c.XORQ(offset, offset)
	// The next panel is prefetched, as many bytes as there are registers for its address.
	nextPanel, nextEnd := pointers[len(pointers)-1], pointers[len(pointers)-2]
	prefetches := c.wide() && rows < len(pointers)-1
	if prefetches {
		c.MOVQ(field(byteNext), nextPanel)
		c.MOVQ(field(byteNextEnd), nextEnd)
	}
	var low reg.VecPhysical // AVX2: 0x00ff in each lane of 16 bits
	if !c.wide() {
		low = c.vector(width*rows + 3)
		c.VPCMPEQW(low, low, low)
		c.VPSRLW(operand.Imm(8), low, low)
	}

	segment, loop, rest, next := c.label("segment"), c.label("loop"), c.label("rest"), c.label("next")
	c.Label(segment)
	c.MOVQ(field(byteLength), end)
	c.LEAQ(operand.Mem{Base: offset, Index: end, Scale: 1, Disp: -4}, end)
	c.CMPQ(offset, end)
	c.JGE(operand.LabelRef(rest))
	c.Label(loop)
	for k := range 2 {
		c.byteProducts(width, rows, k, offset, columns, low)
	}
	if prefetches {
		c.PREFETCHT1(operand.Mem{Base: nextPanel})
		c.PREFETCHT1(operand.Mem{Base: nextPanel, Disp: 64})
		c.ADDQ(operand.U32(128), nextPanel)
		c.CMPQ(nextPanel, nextEnd)
		c.CMOVQGT(nextEnd, nextPanel)
	}
	c.ADDQ(operand.I32(2*width*byteStep), columns)
	c.ADDQ(operand.I8(8), offset)
	c.CMPQ(offset, end)
	c.JLT(operand.LabelRef(loop))
	c.Label(rest)
	c.JNE(operand.LabelRef(next))
	c.byteProducts(width, rows, 0, offset, columns, low)
	c.ADDQ(operand.I32(width*byteStep), columns)
	c.ADDQ(operand.I8(4), offset)
	c.Label(next)
	c.call(end)
	c.ADDQ(field(byteSkip), offset)
	c.SUBQ(operand.I8(1), field(byteLeft))
	c.JNZ(operand.LabelRef(segment))

	if prefetches {
		c.MOVQ(nextPanel, field(byteNext))
	}
	done, bytes := c.label("done"), c.label("bytes")
	offsets, sums := reg.RSI, reg.RDI
	c.MOVQ(field(byteYOffsets), offsets)
	c.ADDQ(field(byteAt), offsets)
	if c.wide() {
		c.KMOVQ(field(byteMask), reg.K1)
		c.KSHIFTRQ(operand.Imm(uint64(16*(width-1))), reg.K1, reg.K3)
	}
	c.MOVQ(field(byteSums), sums)
	c.TESTQ(sums, sums)
	c.JZ(operand.LabelRef(bytes))
	for row := range rows {
		c.MOVLQSX(operand.Mem{Base: offsets, Disp: 4 * row}, reg.RAX)
		c.LEAQ(operand.Mem{Base: sums, Index: reg.RAX, Scale: 4}, reg.RAX)
		for v := range width {
			to := operand.Mem{Base: reg.RAX, Disp: 4 * v * c.lanes}
			switch {
			case v < width-1:
				c.VMOVUPS(sum(row, v), to)
			case c.wide():
				c.VMOVDQU32(sum(row, v), reg.K3, to)
			default:
				c.byteLastSums(sum(row, v), reg.RAX, v)
			}
		}
	}
	c.JMP(operand.LabelRef(done))
	c.Label(bytes)
	if c.wide() {
		c.byteResults(width, rows, field, sum)
	} else {
		c.byteResultsNarrow(width, rows, field, sum)
	}
	c.Label(done)
	c.ADDQ(operand.I8(4*rows), field(byteAt))
	c.DECQ(field(byteTiles))
	c.JNZ(operand.LabelRef(tile))
	c.end()
}

// byteProducts adds the products of four bytes of each row.
func (c *code) byteProducts(width, rows, k int, offset, columns reg.Register, low reg.VecPhysical) {
	first := width * rows
	at := func(v, half int) operand.Mem {
		return operand.Mem{Base: columns, Disp: (k*width+v)*byteStep + 32*half}
	}
	element := func(row int) operand.Mem {
		return operand.Mem{Base: pointers[row], Index: offset, Scale: 1, Disp: 4 * k}
	}
	if c.wide() {
		for v := range width {
			c.VMOVDQU32(at(v, 0), c.vector(first+v))
		}
		spare := c.registers - first - width
		for row := range rows {
			broadcast := c.vector(first + width + row%min(spare, 4))
			c.VPBROADCASTD(element(row), broadcast)
			for v := range width {
				c.byteDot(c.vector(first+v), broadcast, c.vector(row*width+v))
			}
		}
		return
	}
	// The even and the odd bytes are multiplied as numbers of 16 bits.
	even, odd, product := c.vector(first), c.vector(first+1), c.vector(first+2)
	for row := range rows {
		c.VPBROADCASTD(element(row), odd)
		c.VPAND(low, odd, even)
		c.VPSRLW(operand.Imm(8), odd, odd)
		for v := range width {
			for half, codes := range []reg.VecPhysical{even, odd} {
				c.VPMADDWD(at(v, half), codes, product)
				c.VPADDD(product, c.vector(row*width+v), c.vector(row*width+v))
			}
		}
	}
}

// byteDot adds the four products of each lane, of signed weights and unsigned bytes. avo does not
// have this instruction, of AVX512_VNNI.
func (c *code) byteDot(weights, bytes, sum operand.Op) {
	c.Instruction(&ir.Instruction{
		Opcode:   "VPDPBUSD",
		Operands: []operand.Op{weights, bytes, sum},
		Inputs:   []operand.Op{weights, bytes, sum},
		Outputs:  []operand.Op{sum},
		ISA:      []string{"AVX512VNNI"},
	})
}

// The registers of the last part of a tile.
var (
	byteResult, byteOther = reg.RAX, reg.RBX // addresses in the result and the addend
	byteScales, byteMinus = reg.RCX, reg.RDX
	byteResultBase        = reg.RDI
	byteOtherBase         = reg.R8
)

// byteAddresses loads the pointers of the last part.
func (c *code) byteAddresses(field func(int) operand.Mem) {
	c.MOVQ(field(byteMultiplier), byteScales)
	c.MOVQ(field(byteNegative), byteMinus)
	c.MOVQ(field(byteY), byteResultBase)
	c.MOVQ(field(byteAddend), byteOtherBase)
}

// The offsets of the fields of byteScaling, in bytes.
const (
	scalingHalf   = 0
	scalingShift  = 8  // 16 bytes
	scalingLeft   = 24 // 16 bytes
	scalingAddend = 40
	scalingSize   = 48
)

// byteScaler scales sums: it multiplies those of the even and of the odd lanes to 64 bits, and shifts
// the products so that the lower half of each is where the sum was.
type byteScaler struct {
	*code
	scaling   func(offset int) operand.Mem // of byteScaling
	odd, more reg.VecPhysical
	half      reg.VecPhysical // AVX2: broadcast
}

// oddLanes is the mask of the odd lanes, of 32 bits, in K4.
func (c *code) oddLanes(temporary reg.GPPhysical) {
	if c.wide() {
		c.MOVL(operand.U32(0xaaaa), temporary.As32())
		c.KMOVW(temporary.As32(), reg.K4)
	}
}

// multiply writes the products to s and odd.
func (c *byteScaler) multiply(s reg.VecPhysical, multipliers operand.Mem) {
	next := multipliers
	next.Disp += 4
	c.VPSRLQ(operand.Imm(32), s, c.odd)
	c.VPMULDQ(multipliers, s, s)
	c.VPMULDQ(next, c.odd, c.odd)
}

// multiplySigned is multiply with one of two multipliers, depending on the sign of the sum.
func (c *byteScaler) multiplySigned(s, temporary reg.VecPhysical, multipliers, negative operand.Mem) {
	c.VMOVUPS(multipliers, temporary)
	if c.wide() {
		c.VPMOVD2M(s, reg.K2)
		c.VMOVDQU32(negative, reg.K2, temporary)
	} else {
		c.VBLENDVPS(s, negative, temporary, temporary)
	}
	c.VPSRLQ(operand.Imm(32), temporary, c.more)
	c.VPSRLQ(operand.Imm(32), s, c.odd)
	c.VPMULDQ(temporary, s, s)
	c.VPMULDQ(c.more, c.odd, c.odd)
}

// add adds addends, less their zero point, times the multiplier of addends.
func (c *byteScaler) add(s, addends, multiplier reg.VecPhysical) {
	c.VPSRLQ(operand.Imm(32), addends, c.more)
	c.VPMULDQ(multiplier, addends, addends)
	c.VPMULDQ(multiplier, c.more, c.more)
	c.VPADDQ(addends, s, s)
	c.VPADDQ(c.more, c.odd, c.odd)
}

// finish rounds the products and writes their lower halves to s.
func (c *byteScaler) finish(s reg.VecPhysical) {
	if c.wide() {
		c.VPADDQ_BCST(c.scaling(scalingHalf), s, s)
		c.VPADDQ_BCST(c.scaling(scalingHalf), c.odd, c.odd)
	} else {
		c.VPADDQ(c.half, s, s)
		c.VPADDQ(c.half, c.odd, c.odd)
	}
	c.VPSRLQ(c.scaling(scalingShift), s, s)
	c.VPSLLQ(c.scaling(scalingLeft), c.odd, c.odd)
	if c.wide() {
		c.VMOVDQA32(c.odd, reg.K4, s)
	} else {
		c.VPBLENDD(operand.Imm(0xaa), c.odd, s, s)
	}
}

// byteResults writes the bytes of all rows: it scales the sums with the addend, rounds, and packs with
// saturation.
func (c *code) byteResults(width, rows int, field func(int) operand.Mem, sum func(row, v int) reg.VecPhysical) {
	first := width * rows
	zero, low, high, order, temporary := c.vector(first), c.vector(first+1), c.vector(first+2), c.vector(first+3), c.vector(first+4)
	scaler := byteScaler{code: c, scaling: func(offset int) operand.Mem { return field(byteRowsScaling + offset) }, odd: c.vector(first + 5), more: c.vector(first + 6)}
	multiplier := c.vector(first + 7)
	c.oddLanes(reg.RAX)
	c.byteAddresses(field)
	c.VPBROADCASTQ(field(byteRowsScaling+scalingAddend), multiplier)
	c.VPBROADCASTD(field(byteZero), zero)
	c.VPBROADCASTD(field(byteLow), low)
	c.VPBROADCASTD(field(byteHigh), high)
	// The packs work on each 128 bits: their results are a 4×4 matrix of groups of four bytes, whose
	// transpose is the row.
	c.VPMOVZXBD(field(byteOrder), order)
	for row := range rows {
		c.MOVLQSX(operand.Mem{Base: reg.RSI, Disp: 4 * row}, byteOther)
		c.LEAQ(operand.Mem{Base: byteResultBase, Index: byteOther, Scale: 1}, byteResult)
		c.byteScaled(scaler, width, func(v int) reg.VecPhysical { return sum(row, v) }, temporary, func() {
			c.ADDQ(byteOtherBase, byteOther)
		}, func(v int) {
			from := operand.Mem{Base: byteOther, Disp: 16 * v}
			if v == width-1 {
				c.VPMOVZXBD_Z(from, reg.K3, temporary)
			} else {
				c.VPMOVZXBD(from, temporary)
			}
			c.VPSUBD_BCST(field(byteAddendZero), temporary, temporary)
			scaler.add(sum(row, v), temporary, multiplier)
		})
		last := func(v int) reg.VecPhysical { return sum(row, min(v, width-1)) }
		words := sum(row, 0)
		if width > 2 {
			c.VPACKSSDW(last(3), last(2), sum(row, 2))
			c.VPADDSW(zero, sum(row, 2), sum(row, 2))
		}
		c.VPACKSSDW(last(1), words, words)
		c.VPADDSW(zero, words, words)
		c.VPACKUSWB(last(2), words, words)
		c.VPMAXUB(low, words, words)
		c.VPMINUB(high, words, words)
		c.VPERMD(words, order, words)
		c.VMOVDQU8(words, reg.K1, operand.Mem{Base: byteResult})
	}
}

// byteResultsNarrow is byteResults in AVX2. The bytes of a last vector that is not whole go through
// a buffer.
func (c *code) byteResultsNarrow(width, rows int, field func(int) operand.Mem, sum func(row, v int) reg.VecPhysical) {
	first := width * rows
	zero, low, high, temporary := c.vector(first), c.vector(first+1), c.vector(first+2), c.vector(first+3)
	scaler := byteScaler{code: c, scaling: func(offset int) operand.Mem { return field(byteRowsScaling + offset) }, odd: c.vector(first + 4), more: c.vector(first + 5), half: c.vector(first + 6)}
	other := c.vector(first + 7)
	c.byteAddresses(field)
	c.VPBROADCASTQ(field(byteRowsScaling+scalingHalf), scaler.half)
	c.VPBROADCASTD(field(byteZero), zero)
	c.VPBROADCASTD(field(byteLow), low)
	c.VPBROADCASTD(field(byteHigh), high)
	// copyBytes copies the bytes of a row one by one.
	copyBytes := func(from, to reg.Register) {
		loop := c.label("copy")
		c.XORQ(reg.R9, reg.R9)
		c.Label(loop)
		c.MOVB(operand.Mem{Base: from, Index: reg.R9, Scale: 1}, reg.R10B)
		c.MOVB(reg.R10B, operand.Mem{Base: to, Index: reg.R9, Scale: 1})
		c.INCQ(reg.R9)
		c.CMPQ(reg.R9, field(byteColumns))
		c.JLT(operand.LabelRef(loop))
	}
	whole := func(label string) {
		c.CMPQ(field(byteColumns), operand.I8(int8(8*width)))
		c.JEQ(operand.LabelRef(label))
	}
	for row := range rows {
		c.MOVLQSX(operand.Mem{Base: reg.RSI, Disp: 4 * row}, byteOther)
		c.LEAQ(operand.Mem{Base: byteResultBase, Index: byteOther, Scale: 1}, byteResult)
		c.byteScaled(scaler, width, func(v int) reg.VecPhysical { return sum(row, v) }, temporary, func() {
			c.ADDQ(byteOtherBase, byteOther)
			direct := c.label("direct")
			whole(direct)
			c.LEAQ(field(byteBuffer), reg.R11)
			copyBytes(byteOther, reg.R11)
			c.MOVQ(reg.R11, byteOther)
			c.Label(direct)
		}, func(v int) {
			// The addend's zero point and multiplier are broadcast into one register.
			c.VPMOVZXBD(operand.Mem{Base: byteOther, Disp: 8 * v}, temporary)
			c.VPBROADCASTD(field(byteAddendZero), other)
			c.VPSUBD(other, temporary, temporary)
			c.VPBROADCASTQ(field(byteRowsScaling+scalingAddend), other)
			scaler.add(sum(row, v), temporary, other)
		})
		words := sum(row, 0)
		c.VPACKSSDW(sum(row, width-1), words, words)
		c.VPADDSW(zero, words, words)
		c.VPACKUSWB(words, words, words)
		c.VPMAXUB(low, words, words)
		c.VPMINUB(high, words, words)
		// In each half four bytes of the first vector and four of the last.
		c.VEXTRACTI128(operand.Imm(1), words, temporary.AsX())
		c.VPUNPCKLDQ(temporary.AsX(), words.AsX(), words.AsX())
		part, stored := c.label("part"), c.label("stored")
		full := c.label("full")
		whole(full)
		c.JMP(operand.LabelRef(part))
		c.Label(full)
		if width == 1 {
			c.VMOVQ(words.AsX(), operand.Mem{Base: byteResult})
		} else {
			c.VMOVDQU(words.AsX(), operand.Mem{Base: byteResult})
		}
		c.JMP(operand.LabelRef(stored))
		c.Label(part)
		c.VMOVDQU(words.AsX(), field(byteBuffer))
		c.LEAQ(field(byteBuffer), reg.R11)
		copyBytes(reg.R11, byteResult)
		c.Label(stored)
	}
}

// byteScaled scales the sums of a row, of which there are three kinds: with an addend, with two
// multipliers, and plain ones.
func (c *code) byteScaled(scaler byteScaler, width int, sum func(v int) reg.VecPhysical, temporary reg.VecPhysical, begin func(), add func(v int)) {
	at := func(base reg.Register, v int) operand.Mem { return operand.Mem{Base: base, Disp: 4 * c.lanes * v} }
	signed, plain, ready := c.label("signed"), c.label("plain"), c.label("ready")
	c.TESTQ(byteOtherBase, byteOtherBase)
	c.JZ(operand.LabelRef(signed))
	begin()
	for v := range width {
		scaler.multiply(sum(v), at(byteScales, v))
		add(v)
		scaler.finish(sum(v))
	}
	c.JMP(operand.LabelRef(ready))
	c.Label(signed)
	c.TESTQ(byteMinus, byteMinus)
	c.JZ(operand.LabelRef(plain))
	for v := range width {
		scaler.multiplySigned(sum(v), temporary, at(byteScales, v), at(byteMinus, v))
		scaler.finish(sum(v))
	}
	c.JMP(operand.LabelRef(ready))
	c.Label(plain)
	for v := range width {
		scaler.multiply(sum(v), at(byteScales, v))
		scaler.finish(sum(v))
	}
	c.Label(ready)
}

// byteLastSums stores the last vector of a row of sums in AVX2, as many lanes as there are columns.
func (c *code) byteLastSums(v reg.VecPhysical, row reg.Register, before int) {
	whole, done, loop := c.label("wholeSums"), c.label("sumsDone"), c.label("copySums")
	end := reg.RBP
	c.CMPQ(operand.Mem{Base: end, Disp: byteColumns}, operand.I8(int8(c.lanes*(before+1))))
	c.JEQ(operand.LabelRef(whole))
	c.VMOVUPS(v, operand.Mem{Base: end, Disp: byteBuffer})
	c.MOVQ(operand.I32(int32(c.lanes*before)), reg.R9)
	c.Label(loop)
	c.MOVL(operand.Mem{Base: end, Index: reg.R9, Scale: 4, Disp: byteBuffer - 4*c.lanes*before}, reg.R10L)
	c.MOVL(reg.R10L, operand.Mem{Base: row, Index: reg.R9, Scale: 4})
	c.INCQ(reg.R9)
	c.CMPQ(reg.R9, operand.Mem{Base: end, Disp: byteColumns})
	c.JLT(operand.LabelRef(loop))
	c.JMP(operand.LabelRef(done))
	c.Label(whole)
	c.VMOVUPS(v, operand.Mem{Base: row, Disp: 4 * c.lanes * before})
	c.Label(done)
}
