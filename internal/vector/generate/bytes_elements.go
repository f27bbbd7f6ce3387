package main

import (
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// writeByteElements writes the loops over bytes other than products. Those of AVX2, which has no
// masks for bytes, are for at least a vector of channels; the last one overlaps.
func writeByteElements(c *code) {
	c.byteMaxima()
	c.byteSums()
	c.byteCeiling()
	if c.wide() {
		c.byteLookup()
		c.byteLookups()
		c.byteCombinations()
	}
}

// byteRoutine begins a function of the table of bytes.
func (c *code) byteRoutine(name, signature string) {
	c.byteRoutines = append(c.byteRoutines, routine{name, signature})
	c.labels = 0
	c.Function(routine{name, signature}.symbol(c.machine))
	c.Attributes(build.NOSPLIT)
	// avo does not know the types of package vector.
	c.SignatureExpr("func" + strings.ReplaceAll(signature, "*byteCombination", "*byte"))
}

// byteMask returns the mask of the first n of 64 lanes, n being less than 64.
func (c *code) byteMaskOf(n reg.GPVirtual) reg.OpmaskVirtual {
	mask, ones := c.K(), c.GP64()
	c.MOVQ(operand.I32(-1), ones)
	c.BZHIQ(n, ones, ones)
	c.KMOVQ(ones, mask)
	return mask
}

// byteMaxima writes the maxima of windows.
func (c *code) byteMaxima() {
	c.byteRoutine("maxima", "(y, x *uint8, offsets *int32, positions, count, step, yStep, channels int)")
	y, x, list := c.argument("y"), c.argument("x"), c.argument("offsets")
	at, offset, n, left := c.GP64(), c.GP64(), c.GP64(), c.GP64()
	count := c.argument("count")
	window, block, end, next := c.label("window"), c.label("block"), c.label("end"), c.label("next")
	width := 4 * c.lanes
	one := func(mask *reg.OpmaskVirtual) {
		maximum := c.any()
		if c.wide() {
			c.VPXORD(maximum, maximum, maximum)
		} else {
			c.VPXOR(maximum, maximum, maximum)
		}
		loop := c.label("positions")
		number := c.GP64()
		c.MOVQ(c.inMemory("positions"), left)
		c.XORQ(number, number)
		c.Label(loop)
		c.MOVLQSX(operand.Mem{Base: list, Index: number, Scale: 4}, offset)
		from := operand.Mem{Base: at, Index: offset, Scale: 1}
		if mask == nil {
			c.VPMAXUB(from, maximum, maximum)
		} else {
			c.VPMAXUB(from, maximum, *mask, maximum)
		}
		c.INCQ(number)
		c.DECQ(left)
		c.JNZ(operand.LabelRef(loop))
		to := operand.Mem{Base: y, Index: n, Scale: 1}
		switch {
		case mask != nil:
			c.VMOVDQU8(maximum, *mask, to)
		case c.wide():
			c.VMOVDQU32(maximum, to)
		default:
			c.VMOVDQU(maximum, to)
		}
	}
	c.Label(window)
	c.XORQ(n, n) // channels that are done
	bound := c.GP64()
	c.MOVQ(c.inMemory("channels"), bound)
	c.SUBQ(operand.U32(width), bound)
	c.MOVQ(x, at)
	c.CMPQ(n, bound)
	c.JG(operand.LabelRef(end))
	c.Label(block)
	one(nil)
	c.ADDQ(operand.U32(width), n)
	c.ADDQ(operand.U32(width), at)
	c.CMPQ(n, bound)
	c.JLE(operand.LabelRef(block))
	c.Label(end)
	c.ADDQ(operand.U32(width), bound)
	c.CMPQ(n, bound)
	c.JEQ(operand.LabelRef(next))
	if c.wide() {
		rest := c.GP64()
		c.MOVQ(bound, rest)
		c.SUBQ(n, rest)
		mask := c.byteMaskOf(rest)
		one(&mask)
	} else {
		c.MOVQ(bound, n)
		c.SUBQ(operand.U32(width), n)
		c.MOVQ(x, at)
		c.ADDQ(n, at)
		one(nil)
	}
	c.Label(next)
	c.ADDQ(c.inMemory("step"), x)
	c.ADDQ(c.inMemory("yStep"), y)
	c.DECQ(count)
	c.JNZ(operand.LabelRef(window))
	c.end()
}

// byteSums adds rows of channels, a multiple of the lanes of a vector, to sums of 32 bits.
func (c *code) byteSums() {
	c.byteRoutine("sums", "(sum *int32, x *uint8, rows, step, channels int)")
	sum, x, step, channels := c.argument("sum"), c.argument("x"), c.argument("step"), c.argument("channels")
	at, left := c.GP64(), c.GP64()
	block, loop := c.label("block"), c.label("rows")
	c.Label(block)
	total, value := c.any(), c.any()
	c.VMOVUPS(operand.Mem{Base: sum}, total)
	c.MOVQ(x, at)
	c.MOVQ(c.inMemory("rows"), left)
	c.Label(loop)
	c.VPMOVZXBD(operand.Mem{Base: at}, value)
	c.VPADDD(value, total, total)
	c.ADDQ(step, at)
	c.DECQ(left)
	c.JNZ(operand.LabelRef(loop))
	c.VMOVUPS(total, operand.Mem{Base: sum})
	c.ADDQ(operand.U32(4*c.lanes), sum)
	c.ADDQ(operand.U32(c.lanes), x)
	c.SUBQ(operand.U32(c.lanes), channels)
	c.JG(operand.LabelRef(block))
	c.end()
}

// byteLookup replaces bytes by those of a table of 256, of which an instruction of AVX512_VBMI reads
// 128.
func (c *code) byteLookup() {
	c.byteRoutine("lookup", "(y, x, table *uint8, n int)")
	y, x, table, n := c.argument("y"), c.argument("x"), c.argument("table"), c.argument("n")
	var parts [4]reg.VecVirtual
	for i := range parts {
		parts[i] = c.any()
		c.VMOVDQU32(operand.Mem{Base: table, Disp: 64 * i}, parts[i])
	}
	one := func(load func(v reg.VecVirtual), store func(v reg.VecVirtual)) {
		low, high, upper := c.any(), c.any(), c.K()
		load(low)
		c.VPMOVB2M(low, upper)
		c.VMOVDQA32(low, high)
		c.VPERMI2B(parts[1], parts[0], low)
		c.VPERMI2B(parts[3], parts[2], high)
		c.VMOVDQU8(high, upper, low)
		store(low)
	}
	loop, end, done := c.label("loop"), c.label("end"), c.label("done")
	c.SUBQ(operand.U32(64), n)
	c.JLT(operand.LabelRef(end))
	c.Label(loop)
	one(func(v reg.VecVirtual) { c.VMOVDQU32(operand.Mem{Base: x}, v) }, func(v reg.VecVirtual) { c.VMOVDQU32(v, operand.Mem{Base: y}) })
	c.ADDQ(operand.U32(64), x)
	c.ADDQ(operand.U32(64), y)
	c.SUBQ(operand.U32(64), n)
	c.JGE(operand.LabelRef(loop))
	c.Label(end)
	c.ADDQ(operand.U32(64), n)
	c.JZ(operand.LabelRef(done))
	mask := c.byteMaskOf(n)
	one(func(v reg.VecVirtual) { c.VMOVDQU8_Z(operand.Mem{Base: x}, mask, v) }, func(v reg.VecVirtual) { c.VMOVDQU8(v, mask, operand.Mem{Base: y}) })
	c.Label(done)
	c.end()
}

// byteLookups replaces the bytes of pixels of three channels by those of the table of each channel, for a multiple
// of 192 bytes: three vectors, of whose bytes a mask says which channel they belong to.
func (c *code) byteLookups() {
	c.byteRoutine("lookups", "(y, x, tables *uint8, n int)")
	y, x, tables, n := c.argument("y"), c.argument("x"), c.argument("tables"), c.argument("n")
	const channels = 3
	var parts [channels][4]reg.VecVirtual
	var masks [channels]reg.OpmaskVirtual
	bits := c.GP64()
	for channel := range channels {
		for i := range parts[channel] {
			parts[channel][i] = c.any()
			c.VMOVDQU32(operand.Mem{Base: tables, Disp: 256*channel + 64*i}, parts[channel][i])
		}
		masks[channel] = c.K()
		c.MOVQ(operand.U64(0x9249249249249249<<channel), bits)
		c.KMOVQ(bits, masks[channel])
	}
	loop := c.label("loop")
	c.Label(loop)
	for i := range channels {
		low, high, upper := c.any(), c.any(), c.K()
		c.VMOVDQU32(operand.Mem{Base: x, Disp: 64 * i}, low)
		c.VPMOVB2M(low, upper)
		c.VMOVDQA32(low, high)
		for channel, part := range parts {
			mask := masks[(channel-i+channels)%channels]
			c.VPERMI2B(part[1], part[0], mask, low)
			c.VPERMI2B(part[3], part[2], mask, high)
		}
		c.VMOVDQU8(high, upper, low)
		c.VMOVDQU32(low, operand.Mem{Base: y, Disp: 64 * i})
	}
	c.ADDQ(operand.U32(64*channels), x)
	c.ADDQ(operand.U32(64*channels), y)
	c.SUBQ(operand.U32(64*channels), n)
	c.JNZ(operand.LabelRef(loop))
	c.end()
}

// The offsets of the fields of byteCombination, in bytes.
const (
	combinationZero = 4 * iota
	combinationLow
	combinationHigh
	combinationAddendZero
	combinationMultiplier
	combinationFirstZero
	_
	combinationOrder
	combinationScaling = combinationOrder + 20 // byteScaling
)

// The offsets of the fields of byteScaling, in bytes.
const (
	scalingHalf   = 0
	scalingShift  = 8  // 16 bytes
	scalingLeft   = 24 // 16 bytes
	scalingAddend = 40
)

// byteCombinations writes the sum of two arrays, and the product of an array with factors.
func (c *code) byteCombinations() {
	for _, multiply := range []bool{false, true} {
		second := "b *uint8"
		if multiply {
			second = "b *int32"
		}
		name := map[bool]string{false: "combine", true: "multiply"}[multiply]
		c.byteRoutine(name, "(y, a *uint8, "+second+", n int, p *byteCombination)")
		y, a, b, n, p := c.argument("y"), c.argument("a"), c.argument("b"), c.argument("n"), c.argument("p")
		field := func(offset int) operand.Mem { return operand.Mem{Base: p, Disp: offset} }
		broadcast := func(offset int) reg.VecVirtual {
			v := c.any()
			c.VPBROADCASTD(field(offset), v)
			return v
		}
		zero, low, high := broadcast(combinationZero), broadcast(combinationLow), broadcast(combinationHigh)
		firstZero, multiplier := broadcast(combinationFirstZero), broadcast(combinationMultiplier)
		addendMultiplier := c.any()
		c.VPBROADCASTQ(field(combinationScaling+scalingAddend), addendMultiplier)
		odd := c.K()
		lanes := c.GP32()
		c.MOVL(operand.U32(0xaaaa), lanes)
		c.KMOVW(lanes, odd)
		order := c.any()
		c.VPMOVZXBD(field(combinationOrder), order)
		body := func(masks *[5]reg.OpmaskVirtual) {
			var sums [4]reg.VecVirtual
			for v := range sums {
				load := func(from operand.Mem, to reg.VecVirtual) {
					if masks == nil {
						c.VPMOVZXBD(from, to)
					} else {
						c.VPMOVZXBD_Z(from, masks[v], to)
					}
				}
				s, other := c.any(), c.any()
				sums[v] = s
				load(operand.Mem{Base: a, Disp: 16 * v}, s)
				c.VPSUBD(firstZero, s, s)
				if multiply {
					factors := operand.Mem{Base: b, Disp: 64 * v}
					if masks == nil {
						c.VPMULLD(factors, s, s)
					} else {
						c.VMOVDQU32_Z(factors, masks[v], other)
						c.VPMULLD(other, s, s)
					}
				}
				upper := c.any()
				c.VPSRLQ(operand.Imm(32), s, upper)
				c.VPMULDQ(multiplier, s, s)
				c.VPMULDQ(multiplier, upper, upper)
				if !multiply {
					more := c.any()
					load(operand.Mem{Base: b, Disp: 16 * v}, other)
					c.VPSUBD_BCST(field(combinationAddendZero), other, other)
					c.VPSRLQ(operand.Imm(32), other, more)
					c.VPMULDQ(addendMultiplier, other, other)
					c.VPMULDQ(addendMultiplier, more, more)
					c.VPADDQ(other, s, s)
					c.VPADDQ(more, upper, upper)
				}
				c.VPADDQ_BCST(field(combinationScaling+scalingHalf), s, s)
				c.VPADDQ_BCST(field(combinationScaling+scalingHalf), upper, upper)
				c.VPSRLQ(field(combinationScaling+scalingShift), s, s)
				c.VPSLLQ(field(combinationScaling+scalingLeft), upper, upper)
				c.VMOVDQA32(upper, odd, s)
			}
			c.VPACKSSDW(sums[1], sums[0], sums[0])
			c.VPACKSSDW(sums[3], sums[2], sums[2])
			c.VPADDSW(zero, sums[0], sums[0])
			c.VPADDSW(zero, sums[2], sums[2])
			c.VPACKUSWB(sums[2], sums[0], sums[0])
			c.VPMAXUB(low, sums[0], sums[0])
			c.VPMINUB(high, sums[0], sums[0])
			c.VPERMD(sums[0], order, sums[0])
			if masks == nil {
				c.VMOVDQU32(sums[0], operand.Mem{Base: y})
			} else {
				c.VMOVDQU8(sums[0], masks[4], operand.Mem{Base: y})
			}
		}
		loop, end, done := c.label("loop"), c.label("end"), c.label("done")
		c.SUBQ(operand.U32(64), n)
		c.JLT(operand.LabelRef(end))
		c.Label(loop)
		body(nil)
		c.ADDQ(operand.U32(64), y)
		c.ADDQ(operand.U32(64), a)
		size := uint32(64)
		if multiply {
			size *= 4
		}
		c.ADDQ(operand.U32(size), b)
		c.SUBQ(operand.U32(64), n)
		c.JGE(operand.LabelRef(loop))
		c.Label(end)
		c.ADDQ(operand.U32(64), n)
		c.JZ(operand.LabelRef(done))
		var masks [5]reg.OpmaskVirtual
		masks[4] = c.byteMaskOf(n)
		for v := range 4 {
			masks[v] = c.K()
			c.KSHIFTRQ(operand.Imm(uint64(16*v)), masks[4], masks[v])
		}
		body(&masks)
		c.Label(done)
		c.end()
	}
}

// byteCeiling writes products in registers, of 24 vectors in an iteration.
func (c *code) byteCeiling() {
	c.byteRoutine("byteCeiling", "(iterations int)")
	left, loop, element, product := c.argument("iterations"), c.label("loop"), c.any(), c.any()
	c.zero(element)
	var sums []reg.VecVirtual
	for range 12 {
		sums = append(sums, c.zeros())
	}
	c.Label(loop)
	for range 2 {
		for _, sum := range sums {
			if c.wide() {
				c.byteDot(element, element, sum)
				continue
			}
			for range 2 {
				c.VPMADDWD(element, element, product)
				c.VPADDD(product, sum, sum)
			}
		}
	}
	c.DECQ(left)
	c.JNZ(operand.LabelRef(loop))
	c.end()
}
