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
	byteMask   // of the bytes of a row
	byteColumns
	byteOrder                     // 16 bytes
	byteBuffer  = byteOrder + 16  // 32 bytes
	byteNext    = byteBuffer + 32 // of the memory that is prefetched
	byteNextEnd = byteNext + 8
	byteAhead   = byteNextEnd + 8 // bytes from a result to one that is loaded into the cache
	byteResult  = byteAhead + 8   // byteResultCall
)

// The offsets of the fields of byteResultCall, in bytes.
const (
	resultShift = 8 * iota
	resultMultiplier
	resultNegativeShift // 0 for none
	resultNegativeMultiplier
	resultOffset   // two int16, as the next two
	resultRounding = resultOffset + 4
	resultAddend   = resultOffset + 8
	resultLow      = resultOffset + 12
	resultHigh     = resultOffset + 16
	resultLimited  = resultOffset + 20 // 0 if all bytes are in the range from low to high
	resultPacked   = resultOffset + 24 // four vectors: two of multipliers, two of those of negative sums
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

func byteRowsName(m *machine, width, rows int, words bool) string {
	if words {
		return fmt.Sprintf("wordRows_%s_%dx%d", m.name, width, rows)
	}
	return fmt.Sprintf("byteRows_%s_%dx%d", m.name, width, rows)
}

// byteTable returns the table of the functions for bytes, and their declarations.
func byteTable(m *machine, routines []routine) string {
	table := fmt.Sprintf("var %sBytes = &ByteSet{\nname: %q,\nlanes: %d,\n", m.name, m.name, m.lanes)
	declarations := ""
	declare := func(name, call string) {
		declarations += fmt.Sprintf("//go:noescape\nfunc %s(call *%s)\n\n", name, call)
	}
	tiles := func(field string, words bool) {
		table += field + ": [][]func(*byteRowsCall){nil,\n"
		for width := 1; width < len(m.byteRows()); width++ {
			table += "{nil,"
			for rows := 1; rows <= m.byteRows()[width]; rows++ {
				name := byteRowsName(m, width, rows, words)
				table += name + ","
				declare(name, "byteRowsCall")
			}
			table += "},\n"
		}
		table += "},\n"
	}
	tiles("rows", false)
	if m.hasByteWinograd() {
		tiles("words", true)
		table += fmt.Sprintf("winograd: byteWinograd{byteWinogradInput_%[1]s, byteWinogradOutput3_%[1]s, byteWinogradOutput4_%[1]s},\n", m.name)
		for _, name := range []string{"Input_", "Output3_", "Output4_"} {
			declare("byteWinograd"+name+m.name, "byteTilesCall")
		}
	}
	depthwise, more := byteDepthwiseTable(m)
	declarations += more
	table += depthwise + "byteRoutines: byteRoutines{\n"
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
			c.byteTile(width, rows, false)
			if c.hasByteWinograd() {
				c.byteTile(width, rows, true)
			}
		}
	}
}

// byteTile writes one tile. With words, rows and weights are signed numbers of 16 bits, two instead of four
// bytes, and the results are sums.
func (c *code) byteTile(width, rows int, words bool) {
	offset, columns, end := reg.R14, reg.R15, reg.RBP
	c.function(byteRowsName(c.machine, width, rows, words))
	c.call(end)
	field := func(offset int) operand.Mem { return operand.Mem{Base: end, Disp: offset} }
	sum := func(row, v int) reg.VecPhysical { return c.vector(row*width + v) }

	tile := c.label("tile")
	if !words {
		c.MOVQ(field(byteSums), offset)
		c.TESTQ(offset, offset)
		c.JNZ(operand.LabelRef(tile))
		c.packMultipliers(byteResultOf(field), width)
	}
	c.Label(tile)
	if c.wide() && !words {
		c.loadResultsAhead(rows, field)
	}
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
		c.byteProducts(width, rows, k, offset, columns, low, words)
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
	c.byteProducts(width, rows, 0, offset, columns, low, words)
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
	if !words {
		c.TESTQ(sums, sums)
		c.JZ(operand.LabelRef(bytes))
	}
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
	if !words {
		c.JMP(operand.LabelRef(done))
		c.Label(bytes)
		if c.wide() {
			c.byteResults(width, rows, field, sum)
		} else {
			c.byteResultsNarrow(width, rows, field, sum)
		}
		c.Label(done)
	}
	c.ADDQ(operand.I8(4*rows), field(byteAt))
	c.DECQ(field(byteTiles))
	c.JNZ(operand.LabelRef(tile))
	c.end()
}

// loadResultsAhead loads the results and the addends of a later tile into the cache.
func (c *code) loadResultsAhead(rows int, field func(int) operand.Mem) {
	offsets, at, ahead, y, addend := reg.R14, reg.R15, reg.RAX, reg.RBX, reg.RCX
	none, done := c.label("noAddendAhead"), c.label("loadedAhead")
	c.MOVQ(field(byteAhead), ahead)
	c.TESTQ(ahead, ahead)
	c.JZ(operand.LabelRef(done))
	c.MOVQ(field(byteYOffsets), offsets)
	c.ADDQ(field(byteAt), offsets)
	c.MOVQ(field(byteY), y)
	c.ADDQ(ahead, y)
	load := func(arrays ...reg.Register) {
		for row := range rows {
			c.MOVLQSX(operand.Mem{Base: offsets, Disp: 4 * row}, at)
			for _, base := range arrays {
				c.PREFETCHT0(operand.Mem{Base: base, Index: at, Scale: 1})
			}
		}
	}
	c.MOVQ(field(byteAddend), addend)
	c.TESTQ(addend, addend)
	c.JZ(operand.LabelRef(none))
	c.ADDQ(ahead, addend)
	load(y, addend)
	c.JMP(operand.LabelRef(done))
	c.Label(none)
	load(y)
	c.Label(done)
}

// byteProducts adds the products of four bytes of each row.
func (c *code) byteProducts(width, rows, k int, offset, columns reg.Register, low reg.VecPhysical, words bool) {
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
			dot := c.byteDot
			if words {
				dot = c.wordDot
			}
			for v := range width {
				dot(c.vector(first+v), broadcast, c.vector(row*width+v))
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
	byteTo, byteOther     = reg.RAX, reg.RBX // addresses in the result and the addend
	byteShifts, byteMinus = reg.RCX, reg.RDX // of shifts, and of those of negative sums
	byteResultBase        = reg.RDI
	byteOtherBase         = reg.R8
)

// byteResultOf returns the fields of the ByteResult of byteRowsCall.
func byteResultOf(field func(int) operand.Mem) func(int) operand.Mem {
	return func(offset int) operand.Mem { return field(byteResult + offset) }
}

// packMultipliers packs the multipliers of some vectors of sums as sums are packed: two vectors of 32
// bits to one of 16 bits. It writes them to the call.
func (c *code) packMultipliers(result func(int) operand.Mem, width int) {
	from, done := reg.R15, c.label("packed")
	for i, source := range []int{resultMultiplier, resultNegativeMultiplier} {
		c.MOVQ(result(source), from)
		if i == 1 {
			c.TESTQ(from, from)
			c.JZ(operand.LabelRef(done))
		}
		for pair := range (width + 1) / 2 {
			at := func(v int) operand.Mem { return operand.Mem{Base: from, Disp: 4 * c.lanes * min(v, width-1)} }
			v, to := c.vector(0), result(resultPacked+128*i+64*pair)
			c.VMOVUPS(at(2*pair), v)
			c.VPACKSSDW(at(2*pair+1), v, v)
			c.VMOVUPS(v, to)
		}
	}
	c.Label(done)
}

// scaledWords scales the sums of a row, of some vectors, to numbers of 16 bits: pairs of vectors of sums
// become one, the first of the pair. Instructions that pack work on each 128 bits.
func (c *code) scaledWords(result func(int) operand.Mem, width int, sum func(v int) reg.VecPhysical, temporary reg.VecPhysical) {
	at := func(base reg.Register, v int) operand.Mem { return operand.Mem{Base: base, Disp: 4 * c.lanes * v} }
	pack := func(pair int) reg.VecPhysical {
		words := sum(2 * pair)
		c.VPACKSSDW(sum(min(2*pair+1, width-1)), words, words)
		return words
	}
	plain, ready := c.label("plain"), c.label("ready")
	c.TESTQ(byteMinus, byteMinus)
	c.JZ(operand.LabelRef(plain))
	for v := range width {
		c.VMOVUPS(at(byteShifts, v), temporary)
		if c.wide() {
			c.VPMOVD2M(sum(v), reg.K2)
			c.VMOVDQU32(at(byteMinus, v), reg.K2, temporary)
		} else {
			c.VBLENDVPS(sum(v), at(byteMinus, v), temporary, temporary)
		}
		c.VPSRAVD(temporary, sum(v), sum(v))
	}
	for pair := range (width + 1) / 2 {
		words, positive, negative := pack(pair), result(resultPacked+64*pair), result(resultPacked+128+64*pair)
		if c.wide() {
			c.VMOVUPS(positive, temporary)
			c.VPMOVW2M(words, reg.K2)
			c.VMOVDQU16(negative, reg.K2, temporary)
			c.VPMULHRSW(temporary, words, words)
			continue
		}
		// The sign of each number is what is left of its product with the other multiplier.
		c.VPSRAW(operand.Imm(15), words, temporary)
		c.VPAND(words, temporary, temporary)
		c.VPSUBW(temporary, words, words)
		c.VPMULHRSW(negative, temporary, temporary)
		c.VPMULHRSW(positive, words, words)
		c.VPADDW(temporary, words, words)
	}
	c.JMP(operand.LabelRef(ready))
	c.Label(plain)
	for v := range width {
		c.VPSRAVD(at(byteShifts, v), sum(v), sum(v))
	}
	for pair := range (width + 1) / 2 {
		words := pack(pair)
		c.VPMULHRSW(result(resultPacked+64*pair), words, words)
	}
	c.Label(ready)
}

// byteRounder rounds numbers of 16 bits to bytes.
type byteRounder struct {
	*code
	offset, rounding, low, high reg.VecPhysical
	limited                     operand.Mem
}

// rounder loads the parameters of a byteRounder into four registers.
func (c *code) rounder(result func(int) operand.Mem, first int) byteRounder {
	r := byteRounder{c, c.vector(first), c.vector(first + 1), c.vector(first + 2), c.vector(first + 3), result(resultLimited)}
	c.VPBROADCASTD(result(resultOffset), r.offset)
	c.VPBROADCASTD(result(resultRounding), r.rounding)
	c.VPBROADCASTD(result(resultLow), r.low)
	c.VPBROADCASTD(result(resultHigh), r.high)
	return r
}

// round writes the bytes of one or two vectors to the first.
func (r byteRounder) round(words ...reg.VecPhysical) {
	for _, w := range words {
		r.VPADDSW(r.offset, w, w)
		r.VPMULHRSW(r.rounding, w, w)
	}
	first := words[0]
	r.VPACKUSWB(words[len(words)-1], first, first)
	inside := r.label("inside")
	r.CMPL(r.limited, operand.I8(0))
	r.JEQ(operand.LabelRef(inside))
	r.VPMAXUB(r.low, first, first)
	r.VPMINUB(r.high, first, first)
	r.Label(inside)
}

// byteAddresses loads the pointers of the last part.
func (c *code) byteAddresses(field func(int) operand.Mem) {
	result := byteResultOf(field)
	c.MOVQ(result(resultShift), byteShifts)
	c.MOVQ(result(resultNegativeShift), byteMinus)
	c.MOVQ(field(byteY), byteResultBase)
	c.MOVQ(field(byteAddend), byteOtherBase)
}

// byteRow computes the addresses of a row.
func (c *code) byteRow(row int) {
	c.MOVLQSX(operand.Mem{Base: reg.RSI, Disp: 4 * row}, byteOther)
	c.LEAQ(operand.Mem{Base: byteResultBase, Index: byteOther, Scale: 1}, byteTo)
}

// withAddend writes what follows for an addend only.
func (c *code) withAddend(write func()) {
	none := c.label("none")
	c.TESTQ(byteOtherBase, byteOtherBase)
	c.JZ(operand.LabelRef(none))
	c.ADDQ(byteOtherBase, byteOther)
	write()
	c.Label(none)
}

// byteResults writes the bytes of all rows.
func (c *code) byteResults(width, rows int, field func(int) operand.Mem, sum func(row, v int) reg.VecPhysical) {
	first, result := width*rows, byteResultOf(field)
	rounder := c.rounder(result, first)
	order, multiplier, addends, temporary := c.vector(first+4), c.vector(first+5), c.vector(first+6), c.vector(first+7)
	c.byteAddresses(field)
	c.VPBROADCASTD(result(resultAddend), multiplier)
	// The packs work on each 128 bits: their results are a 4×4 matrix of groups of four bytes, whose
	// transpose is the row.
	c.VPMOVZXBD(field(byteOrder), order)
	for row := range rows {
		c.byteRow(row)
		c.scaledWords(result, width, func(v int) reg.VecPhysical { return sum(row, v) }, temporary)
		words := []reg.VecPhysical{sum(row, 0)}
		if width > 2 {
			words = append(words, sum(row, 2))
		}
		c.withAddend(func() {
			c.VMOVDQU8_Z(operand.Mem{Base: byteOther}, reg.K1, addends)
			c.VPERMD(addends, order, addends)
			for i, w := range words {
				// An addend is the upper byte of 16 bits.
				c.VPXORD(temporary, temporary, temporary)
				if i == 0 {
					c.VPUNPCKLBW(addends, temporary, temporary)
				} else {
					c.VPUNPCKHBW(addends, temporary, temporary)
				}
				c.VPMULHUW(multiplier, temporary, temporary)
				c.VPADDSW(temporary, w, w)
			}
		})
		rounder.round(words...)
		c.VPERMD(words[0], order, words[0])
		c.VMOVDQU8(words[0], reg.K1, operand.Mem{Base: byteTo})
	}
}

// byteResultsNarrow is byteResults in AVX2. The bytes of a last vector that is not whole go through
// a buffer.
func (c *code) byteResultsNarrow(width, rows int, field func(int) operand.Mem, sum func(row, v int) reg.VecPhysical) {
	first, result := width*rows, byteResultOf(field)
	rounder := c.rounder(result, first)
	multiplier, temporary := c.vector(first+4), c.vector(first+5)
	c.byteAddresses(field)
	c.VPBROADCASTD(result(resultAddend), multiplier)
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
		c.byteRow(row)
		c.scaledWords(result, width, func(v int) reg.VecPhysical { return sum(row, v) }, temporary)
		words := sum(row, 0)
		c.withAddend(func() {
			direct := c.label("direct")
			whole(direct)
			c.LEAQ(field(byteBuffer), reg.R11)
			copyBytes(byteOther, reg.R11)
			c.MOVQ(reg.R11, byteOther)
			c.Label(direct)
			if width == 1 {
				c.VMOVQ(operand.Mem{Base: byteOther}, temporary.AsX())
			} else {
				c.VMOVDQU(operand.Mem{Base: byteOther}, temporary.AsX())
			}
			// Of groups of four bytes the first and the third are in the lower half.
			c.VPSHUFD(operand.Imm(0xd8), temporary.AsX(), temporary.AsX())
			c.VPMOVZXBW(temporary.AsX(), temporary)
			c.VPSLLW(operand.Imm(8), temporary, temporary)
			c.VPMULHUW(multiplier, temporary, temporary)
			c.VPADDSW(temporary, words, words)
		})
		rounder.round(words)
		// In each half four bytes of the first vector and four of the last.
		c.VEXTRACTI128(operand.Imm(1), words, temporary.AsX())
		c.VPUNPCKLDQ(temporary.AsX(), words.AsX(), words.AsX())
		part, stored := c.label("part"), c.label("stored")
		full := c.label("full")
		whole(full)
		c.JMP(operand.LabelRef(part))
		c.Label(full)
		if width == 1 {
			c.VMOVQ(words.AsX(), operand.Mem{Base: byteTo})
		} else {
			c.VMOVDQU(words.AsX(), operand.Mem{Base: byteTo})
		}
		c.JMP(operand.LabelRef(stored))
		c.Label(part)
		c.VMOVDQU(words.AsX(), field(byteBuffer))
		c.LEAQ(field(byteBuffer), reg.R11)
		copyBytes(reg.R11, byteTo)
		c.Label(stored)
	}
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
