package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets of the fields of winogradCall, in bytes.
const (
	winogradX       = 8 * iota // images or weights
	winogradXRow               // bytes from a row, or a tap, to the next
	winogradXPixel             // bytes from a pixel to the next
	winogradXTile              // bytes from a tile to the next
	winogradV                  // transformed
	winogradVStride            // bytes from one of the 36 values to the next
	winogradVTile              // bytes from a tile to the next
	winogradBias
	winogradTiles
	winogradVectors // of channels
	winogradScratch // 36 vectors
	winogradXDone   // bytes of x whose tiles are done
	winogradVDone
	winogradFloor // of clipping: two float32
)

// writeWinograd writes the transforms of Winograd's algorithms for tiles of 4×4 results of a
// 3×3 convolution, and of 3×3 results of a 4×4 convolution. Each is a product with a small
// matrix on both sides, for as many channels at once as a vector has lanes.
func writeWinograd(c *code) {
	c.winograd("input", winogradTransform{rows: 6, columns: 6, results: 6, constants: []float32{2, 4, 5}, write: (*code).inputRow})
	c.winograd("weights", winogradTransform{rows: 3, columns: 3, results: 6, constants: []float32{1. / 4, 1. / 6, 1. / 12, 1. / 24}, write: (*code).weightsRow})
	c.winograd("output", winogradTransform{rows: 6, columns: 6, results: 4, constants: []float32{2, 4, 8}, write: (*code).outputRow, back: true})
	c.winograd("weights4", winogradTransform{rows: 4, columns: 4, results: 6, constants: []float32{1. / 4, 1. / 6, 1. / 12, 1. / 24}, write: (*code).weightsRow4})
	c.winograd("output3", winogradTransform{rows: 6, columns: 6, results: 3, constants: []float32{2, 4}, write: (*code).outputRow3, back: true})
}

// winogradTransform is a transform of rows × columns values to results ×
// results, by columns and then by rows.
type winogradTransform struct {
	rows, columns, results int
	constants              []float32
	write                  func(c *code, from, to, constant []reg.VecPhysical)
	back                   bool // from the transformed values to the image
}

func (c *code) winograd(name string, t winogradTransform) {
	x, row, pixel, v, stride, bias := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI
	scratch, tiles, vectors, call, at, address := reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13
	c.function("winograd_" + name + "_" + c.machine.name)
	c.call(call)
	field := func(offset int, to reg.GPPhysical) { c.MOVQ(operand.Mem{Base: call, Disp: offset}, to) }
	field(winogradXRow, row)
	field(winogradXPixel, pixel)
	field(winogradVStride, stride)
	field(winogradScratch, scratch)
	field(winogradTiles, tiles)
	from, to := c.vectors(0, 6), c.vectors(6, 6)
	constant := c.vectors(12, min(len(t.constants), 3))
	if len(t.constants) > 3 { // weights have few inputs, so that registers are free
		constant = append(c.vectors(12, 3), c.vectors(4, len(t.constants)-3)...)
	}
	for i, value := range t.constants {
		c.MOVL(operand.U32(math.Float32bits(value)), address.As32())
		c.VMOVD(address.As32(), constant[i].AsX())
		c.VBROADCASTSS(constant[i].AsX(), constant[i])
	}

	tile, vector := c.label("tile"), c.label("vector")
	c.Label(tile)
	field(winogradX, x)
	c.ADDQ(operand.Mem{Base: call, Disp: winogradXDone}, x)
	field(winogradV, v)
	c.ADDQ(operand.Mem{Base: call, Disp: winogradVDone}, v)
	field(winogradVectors, vectors)
	field(winogradBias, bias)
	c.Label(vector)

	// Transform the columns, from memory to scratch memory, ...
	if t.back {
		c.MOVQ(v, at)
	} else {
		c.MOVQ(x, at)
	}
	for column := range t.columns {
		c.MOVQ(at, address)
		for i := range t.rows {
			c.VMOVUPS(operand.Mem{Base: address}, from[i])
			if i == t.rows-1 {
				break
			}
			if t.back { // value 6·i + column
				for range 6 {
					c.ADDQ(stride, address)
				}
			} else {
				c.ADDQ(row, address)
			}
		}
		if t.back {
			c.ADDQ(stride, at)
		} else {
			c.ADDQ(pixel, at)
		}
		t.write(c, from, to, constant)
		for i := range t.results {
			c.VMOVUPS(to[i], operand.Mem{Base: scratch, Disp: (i*t.columns + column) * c.lanes * 4})
		}
	}
	// ... and then the rows, from scratch memory.
	if t.back {
		c.MOVQ(x, at)
	} else {
		c.MOVQ(v, at)
	}
	for i := range t.results {
		for column := range t.columns {
			c.VMOVUPS(operand.Mem{Base: scratch, Disp: (i*t.columns + column) * c.lanes * 4}, from[column])
		}
		t.write(c, from, to, constant)
		c.MOVQ(at, address)
		if t.back {
			c.VBROADCASTSS(operand.Mem{Base: call, Disp: winogradFloor}, from[0])
			c.VBROADCASTSS(operand.Mem{Base: call, Disp: winogradFloor + 4}, from[1])
			for j := range t.results {
				c.VADDPS(operand.Mem{Base: bias}, to[j], to[j])
				c.clip(to[j], from[0], from[1])
				c.VMOVUPS(to[j], operand.Mem{Base: address})
				c.ADDQ(pixel, address)
			}
			c.ADDQ(row, at)
		} else {
			for j := range t.results {
				c.VMOVUPS(to[j], operand.Mem{Base: at})
				c.ADDQ(stride, at)
			}
		}
	}
	for _, pointer := range []reg.Register{x, v, bias} {
		c.ADDQ(operand.I32(c.lanes*4), pointer)
	}
	c.DECQ(vectors)
	c.JNZ(operand.LabelRef(vector))
	field(winogradXTile, address)
	c.ADDQ(address, operand.Mem{Base: call, Disp: winogradXDone})
	field(winogradVTile, address)
	c.ADDQ(address, operand.Mem{Base: call, Disp: winogradVDone})
	c.DECQ(tiles)
	c.JNZ(operand.LabelRef(tile))
	c.end()
}

// vectors returns n vector registers.
func (c *code) vectors(first, n int) []reg.VecPhysical {
	all := make([]reg.VecPhysical, n)
	for i := range all {
		all[i] = c.vector(first + i)
	}
	return all
}

// inputRow is Bᵀ of Lavin & Gray (2016), section 4.3.
func (c *code) inputRow(d, t, constant []reg.VecPhysical) {
	two, four, five := constant[0], constant[1], constant[2]
	c.VMOVAPS(d[4], t[0])
	c.VFNMADD231PS(five, d[2], t[0])
	c.VFMADD231PS(four, d[0], t[0]) // 4d₀ − 5d₂ + d₄
	c.VMOVAPS(d[5], t[5])
	c.VFNMADD231PS(five, d[3], t[5])
	c.VFMADD231PS(four, d[1], t[5]) // 4d₁ − 5d₃ + d₅
	a, b := d[0], d[5]
	c.VMOVAPS(d[4], a)
	c.VFNMADD231PS(four, d[2], a) // d₄ − 4d₂
	c.VMOVAPS(d[3], b)
	c.VFNMADD231PS(four, d[1], b) // d₃ − 4d₁
	c.VADDPS(b, a, t[1])
	c.VSUBPS(b, a, t[2])
	c.VSUBPS(d[2], d[4], a) // d₄ − d₂
	c.VSUBPS(d[1], d[3], b) // d₃ − d₁
	c.VMOVAPS(a, t[3])
	c.VFMADD231PS(two, b, t[3])
	c.VMOVAPS(a, t[4])
	c.VFNMADD231PS(two, b, t[4])
}

// outputRow is Aᵀ.
func (c *code) outputRow(m, y, constant []reg.VecPhysical) {
	two, four, eight := constant[0], constant[1], constant[2]
	p, s := y[4], y[5]
	c.VADDPS(m[2], m[1], p)
	c.VSUBPS(m[2], m[1], y[1])
	c.VADDPS(m[4], m[3], y[2])
	c.VSUBPS(m[4], m[3], s)
	c.VADDPS(p, m[0], y[0])
	c.VADDPS(y[2], y[0], y[0]) // m₀ + (m₁ + m₂) + (m₃ + m₄)
	c.VADDPS(m[5], y[1], y[3])
	c.VFMADD231PS(eight, s, y[3]) // (m₁ − m₂) + 8(m₃ − m₄) + m₅
	c.VFMADD231PS(two, s, y[1])   // (m₁ − m₂) + 2(m₃ − m₄)
	c.VFMADD213PS(p, four, y[2])  // (m₁ + m₂) + 4(m₃ + m₄)
}

// weightsRow is G.
func (c *code) weightsRow(g, w, constant []reg.VecPhysical) {
	quarter, sixth, twelfth, part := constant[0], constant[1], constant[2], constant[3]
	c.VMULPS(quarter, g[0], w[0])
	c.VMOVAPS(g[2], w[5])
	c.VADDPS(g[2], g[0], w[1])
	c.VMULPS(sixth, w[1], w[1])
	c.VMULPS(sixth, g[1], w[3])
	c.VSUBPS(w[1], w[3], w[2]) // −(g₀ + g₂)/6 + g₁/6
	c.VADDPS(w[3], w[1], w[1])
	c.zero(w[4])
	c.VSUBPS(w[1], w[4], w[1]) // −(g₀ + g₁ + g₂)/6
	c.VMULPS(part, g[0], w[3])
	c.VFMADD231PS(sixth, g[2], w[3])
	c.VMOVAPS(w[3], w[4])
	c.VFMADD231PS(twelfth, g[1], w[3])  // g₀/24 + g₁/12 + g₂/6
	c.VFNMADD231PS(twelfth, g[1], w[4]) // g₀/24 − g₁/12 + g₂/6
}

// outputRow3 is Aᵀ for three results.
func (c *code) outputRow3(m, y, constant []reg.VecPhysical) {
	two, four := constant[0], constant[1]
	p, s := y[4], y[5]
	c.VADDPS(m[2], m[1], p)
	c.VSUBPS(m[2], m[1], y[1])
	c.VADDPS(m[4], m[3], y[2])
	c.VSUBPS(m[4], m[3], s)
	c.VADDPS(p, m[0], y[0])
	c.VADDPS(y[2], y[0], y[0])   // m₀ + (m₁ + m₂) + (m₃ + m₄)
	c.VFMADD231PS(two, s, y[1])  // (m₁ − m₂) + 2(m₃ − m₄)
	c.VFMADD213PS(p, four, y[2]) // (m₁ + m₂) + 4(m₃ + m₄)
	c.VADDPS(m[5], y[2], y[2])
}

// weightsRow4 is G for four weights.
func (c *code) weightsRow4(g, w, constant []reg.VecPhysical) {
	quarter, sixth, twelfth, part := constant[0], constant[1], constant[2], constant[3]
	even, odd := w[1], w[2]
	c.VMULPS(quarter, g[0], w[0])
	c.VADDPS(g[2], g[0], even)
	c.VADDPS(g[3], g[1], odd)
	c.VMULPS(sixth, even, even)
	c.VMULPS(sixth, odd, odd)
	c.zero(w[4])
	c.VADDPS(odd, even, w[3])
	c.VSUBPS(even, odd, w[2])  // −(g₀ + g₂)/6 + (g₁ + g₃)/6
	c.VSUBPS(w[3], w[4], w[1]) // −(g₀ + g₁ + g₂ + g₃)/6
	c.VMULPS(part, g[0], w[3])
	c.VFMADD231PS(sixth, g[2], w[3])
	c.VMULPS(twelfth, g[1], w[5])
	c.VADDPS(sixth, sixth, w[4])
	c.VFMADD231PS(w[4], g[3], w[5])
	c.VSUBPS(w[5], w[3], w[4]) // g₀/24 − g₁/12 + g₂/6 − g₃/3
	c.VADDPS(w[5], w[3], w[3]) // g₀/24 + g₁/12 + g₂/6 + g₃/3
	c.VMOVAPS(g[3], w[5])
}
