package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// windows is a row of pooling windows as it is gone through: window by window,
// vector of channels by vector of channels, position by position.
type windows struct {
	*code
	at       reg.GPVirtual   // the present channels of the present window, in X
	position reg.GPVirtual   // the bytes of these channels
	results  []reg.GPVirtual // arrays of channels of all windows
	shared   []reg.GPVirtual // arrays of channels that all windows have in common
	names    []string        // of their arguments
	left     reg.GPVirtual   // channels
	numbers  [4]reg.VecVirtual
	offsets  [4]reg.GPVirtual // of the positions, if there are four
}

// common adds an array of channels that all windows have in common.
func (w *windows) common(name string) reg.GPVirtual {
	array := w.GP64()
	w.shared, w.names = append(w.shared, array), append(w.names, name)
	return array
}

// rows writes the loop twice: with the offsets of four positions, the usual
// number, in registers, and for any number.
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

// row calls body for each vector of channels of each window.
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

// eachPosition calls first for position 0 and other for the others, which are
// also given their number.
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
