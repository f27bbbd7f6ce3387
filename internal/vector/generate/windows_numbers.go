package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The numbers of positions are bytes in a vector of 16 for AVX-512, whose
// masks fit them as well as float32s, and 32 bits wide for AVX2.

func (w *windows) setNumbers() {
	for k := range w.numbers {
		w.numbers[k] = w.number(operand.U32(k))
	}
}

// number returns a number in all lanes.
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

// storeNumbers writes numbers as bytes, and moves the pointer behind them.
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

// loadNumbers reads bytes, and moves the pointer behind them.
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

// ifLeft runs body if the number of channels left has a bit.
func (w *windows) ifLeft(bit int, body func()) {
	skip := w.label("skip")
	w.TESTQ(operand.U32(bit), w.left)
	w.JZ(operand.LabelRef(skip))
	body()
	w.Label(skip)
}
