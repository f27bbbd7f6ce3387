package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets of the fields of byteDepthwiseCall, in bytes.
const (
	byteDepthwiseX = 8 * iota
	byteDepthwiseRows
	byteDepthwiseGroups
	byteDepthwisePixel
	byteDepthwiseY
	byteDepthwiseYPixel
	byteDepthwiseW
	byteDepthwiseInitial
	byteDepthwiseTiles // counted down
	byteDepthwiseMask
	byteDepthwiseResult // byteResultCall
)

// byteDepthwiseTile is a function for some results next to each other, whose windows have some
// columns and are step pixels apart. With a mask there are fewer channels than in a vector.
type byteDepthwiseTile struct {
	step, columns, results int
	masked                 bool
}

// byteDepthwiseTiles are all tiles of a machine: AVX2 has no masks for bytes.
func (m *machine) byteDepthwiseTiles() []byteDepthwiseTile {
	var all []byteDepthwiseTile
	for _, masked := range []bool{false, true} {
		if masked && m.name != "avx512" {
			break
		}
		for step := 1; step <= 2; step++ {
			for _, columns := range []int{3, 5, 7} {
				for _, results := range []int{1, 4} {
					all = append(all, byteDepthwiseTile{step, columns, results, masked})
				}
			}
		}
	}
	return all
}

func (t byteDepthwiseTile) name(m *machine) string {
	name := fmt.Sprintf("byteDepthwise_%s_%dx%dx%d", m.name, t.step, t.columns, t.results)
	if t.masked {
		name += "Masked"
	}
	return name
}

// byteDepthwiseTable returns the table of the tiles, and their declarations.
func byteDepthwiseTable(m *machine) (table, declarations string) {
	table = "depthwise: map[byteDepthwiseTile]func(*byteDepthwiseCall){\n"
	for _, t := range m.byteDepthwiseTiles() {
		table += fmt.Sprintf("{%d, %d, %d, %v}: %s,\n", t.step, t.columns, t.results, t.masked, t.name(m))
		declarations += fmt.Sprintf("//go:noescape\nfunc %s(call *byteDepthwiseCall)\n\n", t.name(m))
	}
	return table + "},\n", declarations
}

// writeByteDepthwise writes the tiles of ByteDepthwise. The bytes of one pixel in some rows, four in
// AVX-512 and two in AVX2, are interleaved, so that one instruction multiplies and adds those of a
// channel. An interleaved pixel serves all results whose windows have it.
func writeByteDepthwise(c *code) {
	for _, t := range c.byteDepthwiseTiles() {
		c.byteDepthwiseTile(t)
	}
}

func (c *code) byteDepthwiseTile(t byteDepthwiseTile) {
	call, x, offsets, w, groups := reg.RBP, reg.RAX, reg.RBX, reg.RCX, reg.RDX
	rows := []reg.GPPhysical{reg.RSI, reg.RDI, reg.R8, reg.R9}
	pixel, at, y, yPixel := reg.R10, reg.R11, reg.R12, reg.R13
	vectors := 4 // of a result
	if !c.wide() {
		vectors = 2
		rows = rows[:2]
	}
	c.function(t.name(c.machine))
	c.call(call)
	field := func(offset int) operand.Mem { return operand.Mem{Base: call, Disp: offset} }
	sum := func(result, v int) reg.VecPhysical { return c.vector(result*vectors + v) }
	first := t.results * vectors
	if t.masked {
		c.KMOVQ(field(byteDepthwiseMask), reg.K1)
	}
	c.MOVQ(field(byteDepthwiseX), x)
	c.MOVQ(field(byteDepthwiseY), y)
	c.MOVQ(field(byteDepthwisePixel), pixel)
	c.MOVQ(field(byteDepthwiseYPixel), yPixel)

	result := func(offset int) operand.Mem { return field(byteDepthwiseResult + offset) }
	c.packMultipliers(result, vectors)

	tile, group := c.label("tile"), c.label("group")
	c.Label(tile)
	c.MOVQ(field(byteDepthwiseInitial), w)
	for v := range vectors {
		c.VMOVUPS(operand.Mem{Base: w, Disp: 4 * v * c.lanes}, sum(0, v))
		for result := 1; result < t.results; result++ {
			c.VMOVAPS(sum(0, v), sum(result, v))
		}
	}
	c.MOVQ(field(byteDepthwiseW), w)
	c.MOVQ(field(byteDepthwiseRows), offsets)
	c.MOVQ(field(byteDepthwiseGroups), groups)
	c.Label(group)
	for i, row := range rows {
		c.MOVLQSX(operand.Mem{Base: offsets, Disp: 4 * i}, row)
		c.ADDQ(x, row)
	}
	c.XORQ(at, at)
	pixels := t.step*(t.results-1) + t.columns
	for p := range pixels {
		used := false
		for result := range t.results {
			column := p - t.step*result
			used = used || column >= 0 && column < t.columns
		}
		if used {
			interleaved := c.byteInterleaved(t, rows, at, first)
			for result := range t.results {
				column := p - t.step*result
				if column < 0 || column >= t.columns {
					continue
				}
				for v, from := range interleaved {
					weights := operand.Mem{Base: w, Disp: 4 * c.lanes * (column*vectors + v)}
					if c.wide() {
						c.byteDot(weights, from, sum(result, v))
					} else {
						product := c.vector(first + 4)
						c.VPMADDWD(weights, from, product)
						c.VPADDD(product, sum(result, v), sum(result, v))
					}
				}
			}
		}
		if p < pixels-1 {
			c.ADDQ(pixel, at)
		}
	}
	c.ADDQ(operand.I32(int32(4*len(rows))), offsets)
	c.ADDQ(operand.I32(int32(4*c.lanes*vectors*t.columns)), w)
	c.DECQ(groups)
	c.JNZ(operand.LabelRef(group))

	c.MOVQ(result(resultShift), byteShifts)
	c.MOVQ(result(resultNegativeShift), byteMinus)
	rounder, temporary := c.rounder(result, first), c.vector(first+4)
	for i := range t.results {
		c.scaledWords(result, vectors, func(v int) reg.VecPhysical { return sum(i, v) }, temporary)
		words := sum(i, 0)
		if c.wide() {
			rounder.round(words, sum(i, 2))
		} else {
			rounder.round(words)
			c.VPERMQ(operand.Imm(0x08), words, words)
		}
		to := operand.Mem{Base: y}
		switch {
		case t.masked:
			c.VMOVDQU8(words, reg.K1, to)
		case c.wide():
			c.VMOVDQU32(words, to)
		default:
			c.VMOVDQU(words.AsX(), to)
		}
		c.ADDQ(yPixel, y)
	}
	c.IMUL3Q(operand.I32(int32(t.step*t.results)), pixel, at)
	c.ADDQ(at, x)
	c.DECQ(field(byteDepthwiseTiles))
	c.JNZ(operand.LabelRef(tile))
	c.end()
}

// byteInterleaved returns the registers with the interleaved bytes of a pixel of some rows.
func (c *code) byteInterleaved(t byteDepthwiseTile, rows []reg.GPPhysical, at reg.Register, first int) []reg.VecPhysical {
	r := func(i int) reg.VecPhysical { return c.vector(first + i) }
	for i, row := range rows {
		from := operand.Mem{Base: row, Index: at, Scale: 1}
		switch {
		case !c.wide():
			c.VPMOVZXBW(from, r(i))
		case t.masked:
			c.VMOVDQU8_Z(from, reg.K1, r(i))
		default:
			c.VMOVDQU32(from, r(i))
		}
	}
	if !c.wide() {
		c.VPUNPCKLWD(r(1), r(0), r(2))
		c.VPUNPCKHWD(r(1), r(0), r(3))
		return []reg.VecPhysical{r(2), r(3)}
	}
	c.VPUNPCKLBW(r(1), r(0), r(4))
	c.VPUNPCKHBW(r(1), r(0), r(0))
	c.VPUNPCKLBW(r(3), r(2), r(5))
	c.VPUNPCKHBW(r(3), r(2), r(2))
	c.VPUNPCKLWD(r(5), r(4), r(6))
	c.VPUNPCKHWD(r(5), r(4), r(4))
	c.VPUNPCKLWD(r(2), r(0), r(7))
	c.VPUNPCKHWD(r(2), r(0), r(0))
	return []reg.VecPhysical{r(6), r(4), r(7), r(0)}
}
