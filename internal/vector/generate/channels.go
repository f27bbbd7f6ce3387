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
