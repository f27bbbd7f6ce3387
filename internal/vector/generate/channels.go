package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// channels is a loop over rows of channels. It processes all rows for some vectors of
// channels at a time, so that the values of these channels stay in registers.
type channels struct {
	*code
	names  []string
	arrays []reg.GPVirtual // pointers to the present row
	done   reg.GPVirtual   // bytes of each row that are processed
}

func (c *code) channels() *channels { return &channels{code: c, done: c.GP64()} }

// rows returns the pointer to the present row of an array, given the name of the argument.
func (l *channels) rows(name string) reg.GPVirtual {
	array := l.GP64()
	l.names, l.arrays = append(l.names, name), append(l.arrays, array)
	return array
}

// of returns a pointer to the present channels in an array with one element for each
// channel, whose elements are the given number of times as large as a float32.
func (l *channels) of(name string, times int) reg.GPVirtual {
	array := l.argument(name)
	l.LEAQ(operand.Mem{Base: array, Index: l.done, Scale: uint8(times)}, array)
	return array
}

// each writes the loop. It calls begin for several vectors of channels at a time, for one,
// and for the rest; begin returns the functions that write the body for each row and, unless
// nil, the code after the last row.
func (l *channels) each(several int, begin func(parts []part) (row, end func())) {
	left, stride := l.argument("channels"), l.argument("channels")
	l.SHLQ(operand.Imm(2), stride)
	l.XORQ(l.done, l.done)
	for _, vectors := range []int{several, 1} {
		loop, done := l.label("loop"), l.label("done")
		size := operand.U32(vectors * l.lanes)
		l.SUBQ(size, left)
		l.JLT(operand.LabelRef(done))
		l.Label(loop)
		parts := make([]part, vectors)
		for i := range parts {
			parts[i] = part{l.code, i, nil}
		}
		l.down(stride, parts, begin)
		l.ADDQ(operand.U32(4*vectors*l.lanes), l.done)
		l.SUBQ(size, left)
		l.JGE(operand.LabelRef(loop))
		l.Label(done)
		l.ADDQ(size, left)
	}
	end := l.label("end")
	l.JZ(operand.LabelRef(end))
	l.down(stride, []part{{l.code, 0, l.first(left)}}, begin)
	l.Label(end)
	l.end()
}

// down writes the loop over the rows.
func (l *channels) down(stride reg.GPVirtual, parts []part, begin func([]part) (row, end func())) {
	row, end := begin(parts)
	for i, array := range l.arrays {
		l.MOVQ(l.inMemory(l.names[i]), array)
		l.ADDQ(l.done, array)
	}
	left, next := l.argument("rows"), l.label("row")
	l.Label(next)
	row()
	for _, array := range l.arrays {
		l.ADDQ(stride, array)
	}
	l.DECQ(left)
	l.JNZ(operand.LabelRef(next))
	if end != nil {
		end()
	}
}

// several returns the number of vectors of channels for which the loops below have enough
// registers.
func (c *code) several() int {
	if c.wide() {
		return 4
	}
	return 2
}

func writeChannels(c *code) {
	c.normalize()
	c.center("center", false)
	c.center("centerAlone", true)
	c.scaleChannels()
	c.normalizeClipped()
	c.sumClipped()
	c.centerClipped()
}

// load returns the vectors of an array of channels.
func (l *channels) load(name string, parts []part) []reg.VecVirtual {
	array := l.of(name, 1)
	all := make([]reg.VecVirtual, len(parts))
	for i, p := range parts {
		all[i] = p.load(array)
	}
	return all
}

func (c *code) normalize() {
	c.routine("normalize", "(y, x, mean, scale, shift *float32, rows, channels int)")
	l := c.channels()
	y, x := l.rows("y"), l.rows("x")
	l.each(c.several(), func(parts []part) (row, end func()) {
		mean, scale, shift := l.load("mean", parts), l.load("scale", parts), l.load("shift", parts)
		return func() {
			for i, p := range parts {
				v := p.load(x)
				c.VSUBPS(mean[i], v, v)
				c.VFMADD213PS(shift[i], scale[i], v)
				p.store(v, y)
			}
		}, nil
	})
}

// center writes the gradient of batch normalization; alone, the gradient for dy = 0.
func (c *code) center(name string, alone bool) {
	c.routine(name, "(dx, x, dy, mean, scale, along, dyMean *float32, rows, channels int)")
	l := c.channels()
	dx, x := l.rows("dx"), l.rows("x")
	var dy reg.GPVirtual
	if !alone {
		dy = l.rows("dy")
	}
	l.each(c.several(), func(parts []part) (row, end func()) {
		mean, scale := l.load("mean", parts), l.load("scale", parts)
		along, dyMean := l.load("along", parts), l.load("dyMean", parts)
		return func() {
			for i, p := range parts {
				v := p.load(x)
				c.VSUBPS(mean[i], v, v)
				rest := c.zeros()
				if !alone {
					rest = p.load(dy)
				}
				c.VSUBPS(dyMean[i], rest, rest)
				c.VFNMADD231PS(v, along[i], rest)
				c.VMULPS(scale[i], rest, rest)
				p.store(rest, dx)
			}
		}, nil
	})
}

func (c *code) scaleChannels() {
	c.routine("scaleChannels", "(dx, dy, scale *float32, rows, channels int)")
	l := c.channels()
	dx, dy := l.rows("dx"), l.rows("dy")
	l.each(c.several(), func(parts []part) (row, end func()) {
		scale := l.load("scale", parts)
		return func() {
			for i, p := range parts {
				v := p.load(dy)
				c.VMULPS(scale[i], v, v)
				p.store(v, dx)
			}
		}, nil
	})
}

// writeSums writes the sums over rows in double precision.
func writeSums(c *code) {
	c.sumRows()
	c.sumSquares()
	c.sumMoments()
	c.sumProducts()
}

func (c *code) sumRows() {
	c.routine("sumRows", "(sum *float64, x *float32, rows, channels int)")
	l := c.channels()
	x := l.rows("x")
	l.each(c.several(), func(parts []part) (row, end func()) {
		to := l.of("sum", 2)
		sums := loadSums(parts, to)
		return func() {
				for i, p := range parts {
					for half, v := range p.loadWide(x) {
						c.VADDPD(v, sums[i][half], sums[i][half])
					}
				}
			}, func() {
				storeSums(parts, sums, to)
			}
	})
}

func (c *code) sumSquares() {
	c.routine("sumSquares", "(sum *float64, x, mean *float32, rows, channels int)")
	l := c.channels()
	x := l.rows("x")
	l.each(c.several(), func(parts []part) (row, end func()) {
		to, mean := l.of("sum", 2), loadMeans(parts, l.of("mean", 1))
		sums := loadSums(parts, to)
		return func() {
				for i, p := range parts {
					for half, v := range p.loadWide(x) {
						c.VSUBPD(mean[i][half], v, v)
						c.VFMADD231PD(v, v, sums[i][half])
					}
				}
			}, func() {
				storeSums(parts, sums, to)
			}
	})
}

// sumMoments is sumRows and sumSquares, which convert the elements to double precision once.
func (c *code) sumMoments() {
	c.routine("sumMoments", "(sum *float64, x, mean *float32, rows, channels int)")
	l := c.channels()
	x := l.rows("x")
	l.each(c.several(), func(parts []part) (row, end func()) {
		plain, mean := l.of("sum", 2), loadMeans(parts, l.of("mean", 1))
		squares := c.argument("channels")
		c.LEAQ(operand.Mem{Base: plain, Index: squares, Scale: 8}, squares)
		sums, squareSums := loadSums(parts, plain), loadSums(parts, squares)
		return func() {
				for i, p := range parts {
					for half, v := range p.loadWide(x) {
						c.VADDPD(v, sums[i][half], sums[i][half])
						c.VSUBPD(mean[i][half], v, v)
						c.VFMADD231PD(v, v, squareSums[i][half])
					}
				}
			}, func() {
				storeSums(parts, sums, plain)
				storeSums(parts, squareSums, squares)
			}
	})
}

func (c *code) sumProducts() {
	c.routine("sumProducts", "(sum *float64, x, dy, mean *float32, rows, channels int)")
	l := c.channels()
	x, dy := l.rows("x"), l.rows("dy")
	l.each(c.several(), func(parts []part) (row, end func()) {
		along, mean := l.of("sum", 2), loadMeans(parts, l.of("mean", 1))
		plain := c.argument("channels")
		c.LEAQ(operand.Mem{Base: along, Index: plain, Scale: 8}, plain)
		alongSums, plainSums := loadSums(parts, along), loadSums(parts, plain)
		return func() {
				for i, p := range parts {
					slope := p.loadWide(dy)
					for half, v := range p.loadWide(x) {
						c.VSUBPD(mean[i][half], v, v)
						c.VFMADD231PD(v, slope[half], alongSums[i][half])
						c.VADDPD(slope[half], plainSums[i][half], plainSums[i][half])
					}
				}
			}, func() {
				storeSums(parts, alongSums, along)
				storeSums(parts, plainSums, plain)
			}
	})
}

func loadSums(parts []part, from reg.GPVirtual) []doubles {
	var all []doubles
	for _, p := range parts {
		all = append(all, p.loadDoubles(from))
	}
	return all
}

func storeSums(parts []part, sums []doubles, to reg.GPVirtual) {
	for i, p := range parts {
		p.storeDoubles(sums[i], to)
	}
}

func loadMeans(parts []part, from reg.GPVirtual) []doubles {
	var all []doubles
	for _, p := range parts {
		all = append(all, p.loadWide(from))
	}
	return all
}

// pixels is a loop over rows of channels that processes one row, or a few rows, after the
// other, so that memory is read in order. The arrays with one element for each channel are
// read again for every row.
type pixels struct {
	*code
	arrays         []reg.GPVirtual // pointers to the present channels of the first of the rows
	done           reg.GPVirtual   // bytes of a row that are processed
	stride, triple reg.GPVirtual   // bytes of one row and of three
	floor, limit   reg.VecVirtual  // of clipping
}

func (c *code) pixels(arrays ...string) *pixels {
	l := &pixels{code: c, done: c.GP64(), floor: c.everywhere("floor"), limit: c.everywhere("limit")}
	for _, name := range arrays {
		l.arrays = append(l.arrays, c.argument(name))
	}
	return l
}

// pixel returns the address of the present channels in one of several rows of an array.
func (l *pixels) pixel(array, row int) operand.Mem {
	at := operand.Mem{Base: l.arrays[array]}
	switch row {
	case 1, 2:
		at.Index, at.Scale = l.stride, uint8(row)
	case 3:
		at.Index, at.Scale = l.triple, 1
	}
	return at
}

// ahead is the distance in bytes at which one row after the other is fetched into the cache.
// Prefetching by the processor itself does not reach the bandwidth of memory.
const ahead = 1024

// fetch prefetches what is needed soon: of several rows, that of the next ones.
func (l *pixels) fetch(rows int) {
	for array := range l.arrays {
		if rows == 1 {
			l.PREFETCHT0(operand.Mem{Base: l.arrays[array], Disp: ahead})
			continue
		}
		next := l.GP64()
		l.LEAQ(operand.Mem{Base: l.arrays[array], Index: l.stride, Scale: 4}, next)
		for row := range rows {
			at := l.pixel(array, row)
			at.Base = next
			l.PREFETCHT0(at)
		}
	}
}

// channel returns the address of the present channels in an array with one element for each
// channel.
func (l *pixels) channel(array reg.GPVirtual) operand.Mem {
	return operand.Mem{Base: array, Index: l.done, Scale: 1}
}

// each writes the loops, over several rows at a time and over single rows, and the end of the
// function. several is 1 or 4.
func (l *pixels) each(several int, body func(p part, rows int)) {
	stride, rest := l.argument("channels"), l.argument("channels")
	l.ANDQ(operand.U32(l.lanes-1), rest)
	tail := l.first(rest)
	l.SHLQ(operand.Imm(2), stride)
	l.stride = stride
	counts := []int{1}
	if several > 1 {
		l.triple = l.GP64()
		l.LEAQ(operand.Mem{Base: stride, Index: stride, Scale: 2}, l.triple)
		counts = []int{several, 1}
	}
	for _, rows := range counts {
		next, end := l.label("rows"), l.label("rowsEnd")
		l.SUBQ(operand.Imm(uint64(rows)), l.inMemory("rows"))
		l.JLT(operand.LabelRef(end))
		l.Label(next)
		l.row(rows, tail, body)
		for _, array := range l.arrays {
			switch rows {
			case 1:
				l.ADDQ(stride, array)
			case 4:
				l.LEAQ(operand.Mem{Base: array, Index: stride, Scale: 4}, array)
			}
			l.SUBQ(l.done, array)
		}
		l.SUBQ(operand.Imm(uint64(rows)), l.inMemory("rows"))
		l.JGE(operand.LabelRef(next))
		l.Label(end)
		l.ADDQ(operand.Imm(uint64(rows)), l.inMemory("rows"))
	}
	l.end()
}

// row writes the loop over the channels of a few rows, after which done and the pointers have
// advanced by the whole vectors of a row.
func (l *pixels) row(rows int, tail *mask, body func(p part, rows int)) {
	loop, last, end := l.label("loop"), l.label("last"), l.label("end")
	left := l.argument("channels")
	l.XORQ(l.done, l.done)
	l.SUBQ(operand.U32(l.lanes), left)
	l.JLT(operand.LabelRef(last))
	l.Label(loop)
	body(part{l.code, 0, nil}, rows)
	for _, array := range append([]reg.GPVirtual{l.done}, l.arrays...) {
		l.ADDQ(operand.U32(4*l.lanes), array)
	}
	l.SUBQ(operand.U32(l.lanes), left)
	l.JGE(operand.LabelRef(loop))
	l.Label(last)
	l.ADDQ(operand.U32(l.lanes), left)
	l.JZ(operand.LabelRef(end))
	body(part{l.code, 0, tail}, rows)
	l.Label(end)
}

// clip replaces what is at most the floor by zero and what is at least the limit by the limit.
// NaN remains, and a floor or limit of NaN changes nothing.
func (l *pixels) clip(v, zero reg.VecVirtual) {
	if l.wide() {
		below, above := l.K(), l.K()
		l.VCMPPS(operand.Imm(atMost), l.floor, v, below)
		l.VCMPPS(operand.Imm(notBelow), l.limit, v, above)
		l.VMOVAPS(zero, below, v)
		l.VMOVAPS(l.limit, above, v)
		return
	}
	below, above := l.any(), l.any()
	l.VCMPPS(operand.Imm(atMost), l.floor, v, below)
	l.VCMPPS(operand.Imm(notBelow), l.limit, v, above)
	l.VANDNPS(v, below, v)
	l.VBLENDVPS(above, l.limit, v, v)
}

// clipGradient returns the slope where x·scale + shift is neither at most the floor nor at least
// the limit, and zero elsewhere.
func (l *pixels) clipGradient(p part, x reg.VecVirtual, slope operand.Mem, scale, shift reg.GPVirtual) reg.VecVirtual {
	v, g := p.loadFrom(l.channel(scale)), p.loadFrom(slope)
	l.VFMADD213PS(p.loadFrom(l.channel(shift)), x, v)
	if l.wide() {
		inside := l.K()
		l.VCMPPS(operand.Imm(notAtMost), l.floor, v, inside)
		l.VCMPPS(operand.Imm(notAtLeast), l.limit, v, inside, inside)
		l.VMOVAPS_Z(g, inside, g)
		return g
	}
	below := l.any()
	l.VCMPPS(operand.Imm(notAtMost), l.floor, v, below)
	l.VCMPPS(operand.Imm(notAtLeast), l.limit, v, v)
	l.VANDPS(below, v, v)
	l.VANDPS(v, g, g)
	return g
}

func (c *code) normalizeClipped() {
	c.routine("normalizeClipped", "(y, x, scale, shift *float32, rows, channels int, floor, limit float32)")
	l, zero := c.pixels("y", "x"), c.zeros()
	scale, shift := c.argument("scale"), c.argument("shift")
	l.each(1, func(p part, _ int) {
		l.fetch(1)
		v, factor := p.loadFrom(l.pixel(1, 0)), p.loadFrom(l.channel(scale))
		c.VFMADD213PS(p.loadFrom(l.channel(shift)), factor, v)
		l.clip(v, zero)
		p.storeTo(v, l.pixel(0, 0))
	})
}

// sumClipped adds up four rows at a time, because the sums are read from memory and written to
// it for each vector of channels.
func (c *code) sumClipped() {
	c.routine("sumClipped", "(sum *float64, x, dy, mean, scale, shift *float32, rows, channels int, floor, limit float32)")
	l := c.pixels("x", "dy")
	sum, mean := c.argument("sum"), c.argument("mean")
	scale, shift := c.argument("scale"), c.argument("shift")
	l.each(4, func(p part, rows int) {
		l.fetch(rows)
		along, plain := c.GP64(), c.GP64()
		c.LEAQ(operand.Mem{Base: sum, Index: l.done, Scale: 2}, along)
		c.LEAQ(operand.Mem{Base: along, Index: l.stride, Scale: 2}, plain)
		alongSums, plainSums := p.loadDoubles(along), p.loadDoubles(plain)
		center := p.widen(p.loadFrom(l.channel(mean)))
		for row := range rows {
			x := p.loadFrom(l.pixel(0, row))
			slope := p.widen(l.clipGradient(p, x, l.pixel(1, row), scale, shift))
			for half, v := range p.widen(x) {
				c.VSUBPD(center[half], v, v)
				c.VFMADD231PD(v, slope[half], alongSums[half])
				c.VADDPD(slope[half], plainSums[half], plainSums[half])
			}
		}
		p.storeDoubles(alongSums, along)
		p.storeDoubles(plainSums, plain)
	})
}

func (c *code) centerClipped() {
	c.routine("centerClipped", "(dx, x, dy, mean, scale, shift, along, dyMean *float32, rows, channels int, floor, limit float32)")
	l := c.pixels("dx", "x", "dy")
	mean, scale, shift := c.argument("mean"), c.argument("scale"), c.argument("shift")
	along, dyMean := c.argument("along"), c.argument("dyMean")
	l.each(1, func(p part, _ int) {
		l.fetch(1)
		v, factor, rest := p.loadFrom(l.pixel(1, 0)), p.loadFrom(l.channel(scale)), c.zeros()
		slope := l.clipGradient(p, v, l.pixel(2, 0), scale, shift)
		c.VSUBPS(p.loadFrom(l.channel(mean)), v, v)
		c.VSUBPS(p.loadFrom(l.channel(dyMean)), rest, rest)
		c.VFNMADD231PS(v, p.loadFrom(l.channel(along)), rest)
		c.VMULPS(factor, rest, rest)
		c.VMULPS(factor, slope, slope)
		c.VADDPS(slope, rest, rest)
		p.storeTo(rest, l.pixel(0, 0))
	})
}
