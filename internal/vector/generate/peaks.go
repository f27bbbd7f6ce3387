package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets of the fields of peaksCall, in bytes.
const (
	peaksC        = 8 * iota
	peaksCStride  // bytes from a tap's row to the next
	peaksSum      // of the values, for the bias
	peaksA        // the first window
	peaksAStep    // bytes from a window to the next
	peaksARow     // bytes from a row of taps to the next
	peaksY        // values
	peaksPosition // bytes
	peaksChannels // of values and positions, from a window to the next
	peaksCount
	peaksOffsets // of the four positions, in bytes

	peaksMask = peaksOffsets + 4*8 // of the channels
)

// The bounds of a tile: taps in a row, rows of taps, and taps in all.
const (
	peaksMaxTaps  = 12
	peaksMaxRows  = 3
	peaksMaxTotal = 24
)

// writePeaks writes the tiles of Peaks, for every number of rows of taps and of taps in a
// row.
func writePeaks(c *code) {
	for rows := 1; rows <= peaksMaxRows; rows++ {
		for taps := 1; taps <= peaksMaxTaps && rows*taps <= peaksMaxTotal; taps++ {
			c.peaksTile(rows, taps)
		}
	}
}

func peaksName(rows, taps int) string { return fmt.Sprintf("peaks_avx512_%dx%d", rows, taps) }

// peaksTile writes the loop over the windows, for 16 channels. Each of the four positions has
// a mask of the channels whose maximum is there, with which the products of all taps are
// added.
func (c *code) peaksTile(rows, taps int) {
	call, a, step, row := reg.RAX, reg.RBX, reg.RCX, reg.RDX
	y, position, channels, count, at := reg.RSI, reg.RDI, reg.R8, reg.R9, reg.R10
	offsets := []reg.GPPhysical{reg.R11, reg.R12, reg.R13, reg.R14}
	here := []reg.Physical{reg.K2, reg.K3, reg.K4, reg.K5}
	c.function(peaksName(rows, taps))
	c.call(call)
	field := func(offset int, to reg.GPPhysical) { c.MOVQ(operand.Mem{Base: call, Disp: offset}, to) }
	field(peaksA, a)
	field(peaksAStep, step)
	field(peaksARow, row)
	field(peaksY, y)
	field(peaksPosition, position)
	field(peaksChannels, channels)
	field(peaksCount, count)
	for i, to := range offsets {
		field(peaksOffsets+8*i, to)
	}
	c.KMOVW(operand.Mem{Base: call, Disp: peaksMask}, reg.K1)

	sum := func(i int) reg.VecPhysical { return c.vector(i) } // of taps, and of values
	total, value := rows*taps, c.vector(31)
	for i := range total + 1 {
		c.zero(sum(i))
	}
	number := []reg.VecPhysical{reg.X26, reg.X27, reg.X28, reg.X29}
	for i, n := range number {
		c.MOVL(operand.U32(0x01010101*uint32(i)), at.As32())
		c.VPBROADCASTD(at.As32(), n)
	}
	positions := reg.X30

	window := c.label("window")
	c.Label(window)
	c.VMOVUPS_Z(operand.Mem{Base: y}, reg.K1, value)
	c.VMOVDQU8_Z(operand.Mem{Base: position}, reg.K1, positions)
	for i, k := range here {
		c.VPCMPEQB(number[i], positions, reg.K1, k)
	}
	for i, k := range here {
		c.VADDPS(value, sum(total), k, sum(total))
		c.LEAQ(operand.Mem{Base: a, Index: offsets[i], Scale: 1}, at)
		for r := range rows {
			for tap := range taps {
				from := operand.Mem{Base: at, Disp: 4 * tap}
				if r > 0 {
					from.Index, from.Scale = row, uint8(r)
				}
				c.VFMADD231PS_BCST(from, value, k, sum(r*taps+tap))
			}
		}
	}
	c.ADDQ(step, a)
	c.LEAQ(operand.Mem{Base: y, Index: channels, Scale: 4}, y)
	c.ADDQ(channels, position)
	c.DECQ(count)
	c.JNZ(operand.LabelRef(window))

	field(peaksC, a)
	field(peaksCStride, step)
	field(peaksSum, y)
	old := value
	add := func(to reg.GPPhysical, v reg.VecPhysical) {
		c.VMOVUPS_Z(operand.Mem{Base: to}, reg.K1, old)
		c.VADDPS(old, v, v)
		c.VMOVUPS(v, reg.K1, operand.Mem{Base: to})
	}
	for i := range total {
		add(a, sum(i))
		c.ADDQ(step, a)
	}
	without := c.label("without")
	c.TESTQ(y, y)
	c.JZ(operand.LabelRef(without))
	add(y, sum(total))
	c.Label(without)
	c.end()
}

// peaksTable returns the declarations of the tiles, and the table in which package
// vector finds them.
func peaksTable() string {
	table := "// peaksTiles holds the tiles by rows of taps and by taps in a row.\nvar peaksTiles = [][]func(*peaksCall){nil,\n"
	declarations := ""
	for rows := 1; rows <= peaksMaxRows; rows++ {
		table += "{nil,"
		for taps := 1; taps <= peaksMaxTaps && rows*taps <= peaksMaxTotal; taps++ {
			table += peaksName(rows, taps) + ","
			declarations += fmt.Sprintf("//go:noescape\nfunc %s(call *peaksCall)\n\n", peaksName(rows, taps))
		}
		table += "},\n"
	}
	return table + "}\n\n" + declarations
}
