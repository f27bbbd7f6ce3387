package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// windows is a loop over a row of pooling windows: over the windows, the vectors of channels
// of each, and the positions.
type windows struct {
	*code
	at       reg.GPVirtual   // the present channels of the present window, in X
	position reg.GPVirtual   // the bytes of these channels
	results  []reg.GPVirtual // arrays of channels of all windows
	shared   []reg.GPVirtual // arrays of channels that are the same for all windows
	names    []string        // of their arguments
	left     reg.GPVirtual   // channels
	numbers  [4]reg.VecVirtual
	offsets  [4]reg.GPVirtual // of the positions, if there are four
}

// common adds an array of channels that is the same for all windows.
func (w *windows) common(name string) reg.GPVirtual {
	array := w.GP64()
	w.shared, w.names = append(w.shared, array), append(w.names, name)
	return array
}

// rows writes the loop twice: for four positions, the most frequent number, with their
// offsets in registers, and for any number.
func (w *windows) rows(body func(p part, four bool)) {
	w.left = w.GP64()
	general := w.label("general")
	w.CMPQ(w.inMemory("positions"), operand.Imm(4))
	w.JNE(operand.LabelRef(general))
	list := w.argument("offsets")
	for k := range w.offsets {
		w.offsets[k] = w.GP64()
		w.MOVLQSX(operand.Mem{Base: list, Disp: 4 * k}, w.offsets[k])
	}
	w.row(func(p part) { body(p, true) })
	w.end()
	w.Label(general)
	w.row(func(p part) { body(p, false) })
	w.end()
}

// row writes the loop over the windows, with body for each vector of channels.
func (w *windows) row(body func(part)) {
	size := operand.U32(w.lanes)
	window, step := w.GP64(), w.GP64()
	w.Load(w.Param("x"), window)
	w.MOVQ(w.inMemory("channels"), w.left)
	w.ANDQ(operand.U32(w.lanes-1), w.left)
	rest := w.first(w.left)
	next, loop, tail, done := w.label("window"), w.label("loop"), w.label("tail"), w.label("done")

	w.Label(next)
	w.MOVQ(window, w.at)
	for i, array := range w.shared {
		w.MOVQ(w.inMemory(w.names[i]), array)
	}
	w.MOVQ(w.inMemory("channels"), w.left)
	w.SUBQ(size, w.left)
	w.JLT(operand.LabelRef(tail))
	w.Label(loop)
	body(part{w.code, 0, nil})
	for _, array := range append(append([]reg.GPVirtual{w.at}, w.results...), w.shared...) {
		w.ADDQ(operand.U32(4*w.lanes), array)
	}
	w.SUBQ(size, w.left)
	w.JGE(operand.LabelRef(loop))
	w.Label(tail)
	w.ADDQ(size, w.left)
	w.JZ(operand.LabelRef(done))
	body(part{w.code, 0, rest})
	for _, array := range w.results {
		w.LEAQ(operand.Mem{Base: array, Index: w.left, Scale: 4}, array)
	}
	w.Label(done)
	w.MOVQ(w.inMemory("step"), step)
	w.LEAQ(operand.Mem{Base: window, Index: step, Scale: 4}, window)
	w.DECQ(w.inMemory("count"))
	w.JNZ(operand.LabelRef(next))
}

// eachPosition calls first for position 0, and other for the others, with their number.
func (w *windows) eachPosition(four bool, first func(at operand.Mem), other func(at operand.Mem, number reg.VecVirtual)) {
	if four {
		for k, offset := range w.offsets {
			at := operand.Mem{Base: w.at, Index: offset, Scale: 4}
			if k == 0 {
				first(at)
			} else {
				other(at, w.numbers[k])
			}
		}
		return
	}
	list, left, offset, number := w.argument("offsets"), w.argument("positions"), w.GP64(), w.numbers[2]
	at := operand.Mem{Base: w.at, Index: offset, Scale: 4}
	loop, done := w.label("position"), w.label("positions")
	w.MOVLQSX(operand.Mem{Base: list}, offset)
	first(at)
	w.copy(w.numbers[0], number)
	w.DECQ(left)
	w.JZ(operand.LabelRef(done))
	w.Label(loop)
	w.ADDQ(operand.U32(4), list)
	w.MOVLQSX(operand.Mem{Base: list}, offset)
	w.addNumbers(w.numbers[1], number)
	other(at, number)
	w.DECQ(left)
	w.JNZ(operand.LabelRef(loop))
	w.Label(done)
}

// The numbers of positions are 16 bytes in a vector for AVX-512, whose masks apply to them
// and to float32 elements, and 32 bits wide for AVX2.

func (w *windows) setNumbers() {
	for k := range w.numbers {
		w.numbers[k] = w.number(operand.U32(k))
	}
}

// number returns a vector with a number in all lanes.
func (w *windows) number(n operand.Op) reg.VecVirtual {
	general, v := w.GP64(), w.any()
	w.MOVQ(n, general)
	if w.wide() {
		w.VPBROADCASTB(general.As32(), v.AsX())
	} else {
		w.VMOVD(general.As32(), v.AsX())
		w.VPBROADCASTD(v.AsX(), v)
	}
	return v
}

func (w *windows) copy(from, to reg.VecVirtual) {
	if w.wide() {
		w.VMOVDQU8(from.AsX(), to.AsX())
	} else {
		w.VMOVDQU(from, to)
	}
}

func (w *windows) addNumbers(from, to reg.VecVirtual) {
	if w.wide() {
		w.VPADDB(from.AsX(), to.AsX(), to.AsX())
	} else {
		w.VPADDD(from, to, to)
	}
}

// storeNumbers stores numbers as bytes, and advances the pointer.
func (w *windows) storeNumbers(p part, v reg.VecVirtual) {
	at := operand.Mem{Base: w.position}
	if w.wide() {
		if p.mask == nil {
			w.VMOVDQU8(v.AsX(), at)
			w.ADDQ(operand.U32(16), w.position)
		} else {
			w.VMOVDQU8(v.AsX(), p.mask.bits, at)
			w.ADDQ(w.left, w.position)
		}
		return
	}
	low, high := w.XMM(), w.XMM()
	w.VEXTRACTI128(operand.Imm(1), v, high)
	w.VPACKUSDW(high, v.AsX(), low)
	w.VPACKUSWB(low, low, low)
	if p.mask == nil {
		w.VMOVQ(low, at)
		w.ADDQ(operand.U32(8), w.position)
		return
	}
	bytes := w.GP64()
	w.VMOVQ(low, bytes)
	for size := 4; size >= 1; size /= 2 {
		w.ifLeft(size, func() {
			switch size {
			case 4:
				w.MOVL(bytes.As32(), at)
			case 2:
				w.MOVW(bytes.As16(), at)
			case 1:
				w.MOVB(bytes.As8(), at)
			}
			w.SHRQ(operand.Imm(uint64(8*size)), bytes)
			w.ADDQ(operand.U32(size), w.position)
		})
	}
}

// loadNumbers loads bytes, and advances the pointer.
func (w *windows) loadNumbers(p part) reg.VecVirtual {
	v, at := w.any(), operand.Mem{Base: w.position}
	if w.wide() {
		if p.mask == nil {
			w.VMOVDQU8(at, v.AsX())
			w.ADDQ(operand.U32(16), w.position)
		} else {
			w.VMOVDQU8_Z(at, p.mask.bits, v.AsX())
			w.ADDQ(w.left, w.position)
		}
		return v
	}
	if p.mask == nil {
		w.VPMOVZXBD(at, v)
		w.ADDQ(operand.U32(8), w.position)
		return v
	}
	bytes, part, end := w.GP64(), w.GP64(), w.GP64()
	w.XORQ(bytes, bytes)
	w.LEAQ(operand.Mem{Base: w.position, Index: w.left, Scale: 1}, end)
	for size := 1; size <= 4; size *= 2 {
		w.ifLeft(size, func() {
			w.SUBQ(operand.U32(size), end)
			switch at := (operand.Mem{Base: end}); size {
			case 1:
				w.MOVBQZX(at, part)
			case 2:
				w.MOVWQZX(at, part)
			case 4:
				w.MOVL(at, part.As32())
			}
			w.SHLQ(operand.Imm(uint64(8*size)), bytes)
			w.ORQ(part, bytes)
		})
	}
	w.ADDQ(w.left, w.position)
	w.VMOVQ(bytes, v.AsX())
	w.VPMOVZXBD(v.AsX(), v)
	return v
}

// ifLeft writes code that runs body if a bit of the number of channels left is set.
func (w *windows) ifLeft(bit int, body func()) {
	skip := w.label("skip")
	w.TESTQ(operand.U32(bit), w.left)
	w.JZ(operand.LabelRef(skip))
	body()
	w.Label(skip)
}

// Predicates of comparisons; none signals a NaN.
const (
	unordered  = 0x03
	ordered    = 0x07
	atMost     = 0x12
	notAtMost  = 0x16 // or unordered
	notAtLeast = 0x19 // or unordered
	notBelow   = 0x1d
)

// writeWindows writes max pooling and its gradient.
func writeWindows(c *code) {
	for _, scaled := range []string{"", "Scaled"} {
		for _, kept := range []string{"", "Kept"} {
			c.maxWindows("maxWindows"+scaled+kept, scaled != "", kept != "")
		}
		for _, add := range []string{"", "Add"} {
			c.scatterWindows("scatterWindows"+scaled+add, scaled != "", add != "")
		}
	}
}

// search is the search for a maximum, channel by channel.
type search struct {
	*code
	best, position reg.VecVirtual
	element        reg.VecVirtual    // the element from which the scaled maximum was computed; nil if it is not stored
	number         reg.OpmaskVirtual // AVX-512: lanes whose maximum is not NaN
	nan            reg.VecVirtual    // AVX2: lanes whose maximum is NaN
}

func (c *code) maxWindows(name string, scaled, kept bool) {
	c.routine(name, "(x, y *float32, position *uint8, kept, scale, shift *float32, offsets *int32, positions, count, step, channels int, limit float32)")
	w := &windows{code: c, at: c.GP64(), position: c.argument("position")}
	w.setNumbers()
	none, limit, zero := w.number(w.inMemory("positions")), c.everywhere("limit"), c.zeros()
	y := c.argument("y")
	w.results = append(w.results, y)
	var elements, scale, shift reg.GPVirtual
	if kept {
		elements = c.argument("kept")
		w.results = append(w.results, elements)
	}
	if scaled {
		scale, shift = w.common("scale"), w.common("shift")
	}
	w.rows(func(p part, four bool) {
		var factor, summand reg.VecVirtual
		if scaled {
			factor, summand = p.load(scale), p.load(shift)
		}
		// value returns the value that is compared, and the element itself if it differs
		// from that and is stored.
		value := func(at operand.Mem) (v, element reg.VecVirtual) {
			v = p.loadFrom(at)
			if !scaled {
				return v, nil
			}
			if kept {
				element = c.any()
				c.VMOVAPS(v, element)
			}
			c.VFMADD213PS(summand, factor, v)
			return v, element
		}
		var m *search
		w.eachPosition(four, func(at operand.Mem) {
			v, element := value(at)
			m = c.search(v, element)
		}, func(at operand.Mem, number reg.VecVirtual) {
			v, element := value(at)
			m.compare(v, element, number)
		})
		switch {
		case kept && scaled:
			p.store(m.element, elements)
		case kept:
			p.store(m.best, elements)
		}
		m.rectify(limit, zero, none)
		p.store(m.best, y)
		w.storeNumbers(p, m.position)
	})
}

// search begins with the value of position 0.
func (c *code) search(v, element reg.VecVirtual) *search {
	m := &search{code: c, best: v, position: c.zeros(), element: element}
	if c.wide() {
		m.number = c.K()
		c.VCMPPS(operand.Imm(ordered), v, v, m.number)
	} else {
		m.nan = c.any()
		c.VCMPPS(operand.Imm(unordered), v, v, m.nan)
	}
	return m
}

// compare replaces the best by v where v is larger or the first NaN.
func (m *search) compare(v, element, number reg.VecVirtual) {
	if m.wide() {
		better := m.K()
		m.VCMPPS(operand.Imm(notAtMost), m.best, v, m.number, better)
		m.VCMPPS(operand.Imm(ordered), v, v, m.number, m.number)
		m.VMOVAPS(v, better, m.best)
		m.VMOVDQU8(number.AsX(), better, m.position.AsX())
		if element != nil {
			m.VMOVAPS(element, better, m.element)
		}
		return
	}
	better, chosen, isNaN := m.any(), m.any(), m.any()
	m.VCMPPS(operand.Imm(notAtMost), m.best, v, better)
	m.VANDNPS(better, m.nan, better)
	m.VCMPPS(operand.Imm(unordered), v, v, isNaN)
	m.VORPS(isNaN, m.nan, m.nan)
	m.VBLENDVPS(better, v, m.best, m.best)
	m.VPAND(number, better, chosen) // later positions have larger numbers
	m.VPMAXUD(chosen, m.position, m.position)
	if element != nil {
		m.VBLENDVPS(better, element, m.element, m.element)
	}
}

// rectify replaces maxima that are at most the limit by zero, and their position by none.
// With a limit of NaN it changes nothing.
func (m *search) rectify(limit, zero, none reg.VecVirtual) {
	if m.wide() {
		below := m.K()
		m.VCMPPS(operand.Imm(atMost), limit, m.best, below)
		m.VMOVAPS(zero, below, m.best)
		m.VMOVDQU8(none.AsX(), below, m.position.AsX())
		return
	}
	below := m.any()
	m.VCMPPS(operand.Imm(atMost), limit, m.best, below)
	m.VANDNPS(m.best, below, m.best)
	m.VBLENDVPS(below, none, m.position, m.position)
}

func (c *code) scatterWindows(name string, scaled, add bool) {
	c.routine(name, "(x, y *float32, position *uint8, scale *float32, offsets *int32, positions, count, step, channels int)")
	w := &windows{code: c, at: c.GP64(), position: c.argument("position")}
	w.setNumbers()
	y := c.argument("y")
	w.results = append(w.results, y)
	var scale reg.GPVirtual
	if scaled {
		scale = w.common("scale")
	}
	w.rows(func(p part, four bool) {
		v := p.load(y)
		if scaled {
			c.VMULPS(p.load(scale), v, v)
		}
		positions := w.loadNumbers(p)
		put := func(at operand.Mem, number reg.VecVirtual) {
			p.storeTo(w.where(p, positions, number, v, at, add), at)
		}
		w.eachPosition(four, func(at operand.Mem) { put(at, w.numbers[0]) }, put)
	})
}

// where returns v in the lanes whose position has the number, and zero in the others; with
// add, the sum of that and the elements at the address.
func (w *windows) where(p part, positions, number, v reg.VecVirtual, at operand.Mem, add bool) reg.VecVirtual {
	if w.wide() {
		here := w.K()
		w.VPCMPEQB(number.AsX(), positions.AsX(), here)
		if add {
			sum := p.loadFrom(at)
			w.VADDPS(v, sum, here, sum)
			return sum
		}
		chosen := w.any()
		w.VMOVAPS_Z(v, here, chosen)
		return chosen
	}
	chosen := w.any()
	w.VPCMPEQD(number, positions, chosen)
	w.VPAND(v, chosen, chosen)
	if add {
		w.VADDPS(p.loadFrom(at), chosen, chosen)
	}
	return chosen
}
