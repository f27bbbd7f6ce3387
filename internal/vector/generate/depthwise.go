package main

import (
	"bytes"
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets of the fields of depthwiseCall, in bytes.
const (
	depthwiseX = 8 * iota
	depthwiseY
	depthwiseW
	depthwiseInitial
	depthwiseXRow
	depthwiseXPixel
	depthwiseYPixel
	depthwiseInitialPixel
	depthwiseWTap
	depthwiseWSkip
	depthwiseXLine
	depthwiseYLine
	depthwiseInitialLine
	depthwiseRows
	depthwiseVectors
	depthwiseLines // counted down
	depthwiseXLineAt
	depthwiseYLineAt
	depthwiseInitialLineAt
	depthwiseFloor // of clipping: two float32
)

// depthwiseTile is a function for a number of results next to each other, whose windows have
// some columns and are step pixels apart.
type depthwiseTile struct{ step, columns, results int }

// depthwiseTiles are all tiles: for the kernels of common networks, for what is left of their
// windows at the edge of an image, and for the gradient of the input with a stride of 2. The width of
// many images is a multiple of 7.
func depthwiseTiles() []depthwiseTile {
	var all []depthwiseTile
	for columns := 1; columns <= 7; columns++ {
		all = append(all, depthwiseTile{1, columns, 1})
		for _, results := range []int{2, 4, 7, 8} {
			if columns != 6 {
				all = append(all, depthwiseTile{1, columns, results})
			}
		}
	}
	for columns := 3; columns <= 7; columns += 2 {
		for _, results := range []int{2, 4, 7, 8} {
			all = append(all, depthwiseTile{2, columns, results})
		}
	}
	return all
}

func (t depthwiseTile) name(m *machine, gradient bool) string {
	name := "depthwise"
	if gradient {
		name += "Gradient"
	}
	return fmt.Sprintf("%s_%s_%dx%dx%d", name, m.name, t.step, t.columns, t.results)
}

// pixels returns the number of pixels that the results of a row of taps need.
func (t depthwiseTile) pixels() int { return t.step*(t.results-1) + t.columns }

// products calls use for each result that needs a pixel, with the column of its window.
func (t depthwiseTile) products(pixel int, use func(result, column int)) {
	for result := range t.results {
		if column := pixel - t.step*result; column >= 0 && column < t.columns {
			use(result, column)
		}
	}
}

// count returns the number of products of a pixel.
func (t depthwiseTile) count(pixel int) (n int) {
	t.products(pixel, func(int, int) { n++ })
	return n
}

// depthwiseTable returns the fields of a machine's table, and the declarations.
func depthwiseTable(m *machine) (fields, declarations string) {
	var table, functions bytes.Buffer
	for _, gradient := range []bool{false, true} {
		field := "depthwise"
		if gradient {
			field += "Gradient"
		}
		fmt.Fprintf(&table, "%s: depthwiseTiles{\n", field)
		for step := 1; step <= 2; step++ {
			fmt.Fprintf(&table, "%d: {\n", step)
			for columns := 1; columns <= 7; columns++ {
				entries := ""
				for _, t := range depthwiseTiles() {
					if t.step == step && t.columns == columns {
						entries += fmt.Sprintf("%d: %s, ", t.results, t.name(m, gradient))
						fmt.Fprintf(&functions, "//go:noescape\nfunc %s(call *depthwiseCall)\n\n", t.name(m, gradient))
					}
				}
				if entries != "" {
					fmt.Fprintf(&table, "%d: {%s},\n", columns, entries)
				}
			}
			fmt.Fprint(&table, "},\n")
		}
		fmt.Fprint(&table, "},\n")
	}
	return table.String(), functions.String()
}

// writeDepthwise writes the tiles of Depthwise and DepthwiseGradient. A row of taps is
// processed at a time: each pixel is loaded once, and multiplied by the taps, or by the
// results' gradients, that are in registers.
func writeDepthwise(c *code) {
	for _, t := range depthwiseTiles() {
		c.depthwiseTile(t, false)
		c.depthwiseTile(t, true)
	}
}

func (c *code) depthwiseTile(t depthwiseTile, gradient bool) {
	call, x, y, w, initial, vectors := reg.RAX, reg.RBX, reg.RCX, reg.RDX, reg.RSI, reg.RDI
	pixel, pixels3, row, taps, tap, rows := reg.R8, reg.R9, reg.R10, reg.R11, reg.R12, reg.R13
	at, apart, apart3 := reg.R14, reg.R15, reg.RBP
	c.function(t.name(c.machine, gradient))
	c.call(call)
	field := func(offset int) operand.Mem { return operand.Mem{Base: call, Disp: offset} }
	result := func(i int) reg.VecPhysical { return c.vector(i) }
	column := func(i int) reg.VecPhysical { return c.vector(t.results + i) }
	loaded := c.vector(t.results + t.columns)

	// walk visits the addresses of count elements from at, which are apart and apart3 =
	// 3·apart bytes from each other.
	walk := func(at, apart, apart3 reg.Register, count int, visit func(i int, address operand.Mem)) {
		for i := range count {
			switch i % 4 {
			case 0:
				if i > 0 {
					c.LEAQ(operand.Mem{Base: at, Index: apart, Scale: 4}, at)
				}
				visit(i, operand.Mem{Base: at})
			case 3:
				visit(i, operand.Mem{Base: at, Index: apart3, Scale: 1})
			default:
				visit(i, operand.Mem{Base: at, Index: apart, Scale: uint8(i % 4)})
			}
		}
	}
	walkResults := func(from reg.Register, distance int, visit func(i int, address operand.Mem)) {
		c.MOVQ(from, at)
		if t.results > 1 {
			c.MOVQ(field(distance), apart)
		}
		if t.results > 3 {
			c.LEAQ(operand.Mem{Base: apart, Index: apart, Scale: 2}, apart3)
		}
		walk(at, apart, apart3, t.results, visit)
	}

	line, channels, down := c.label("line"), c.label("channels"), c.label("down")
	c.MOVQ(field(depthwiseXPixel), pixel)
	c.LEAQ(operand.Mem{Base: pixel, Index: pixel, Scale: 2}, pixels3)
	c.MOVQ(field(depthwiseWTap), tap)
	c.Label(line)
	c.MOVQ(field(depthwiseX), x)
	c.ADDQ(field(depthwiseXLineAt), x)
	c.MOVQ(field(depthwiseY), y)
	c.ADDQ(field(depthwiseYLineAt), y)
	c.MOVQ(field(depthwiseW), w)
	if !gradient {
		c.MOVQ(field(depthwiseInitial), initial)
		c.ADDQ(field(depthwiseInitialLineAt), initial)
	}
	c.MOVQ(field(depthwiseVectors), vectors)
	c.Label(channels)
	from, distance := initial, depthwiseInitialPixel
	if gradient {
		from, distance = y, depthwiseYPixel
	}
	walkResults(from, distance, func(i int, address operand.Mem) { c.VMOVUPS(address, result(i)) })
	c.MOVQ(x, row)
	c.MOVQ(w, taps)
	c.MOVQ(field(depthwiseRows), rows)
	c.Label(down)
	for i := range t.columns {
		if gradient {
			c.zero(column(i))
		} else {
			c.VMOVUPS(operand.Mem{Base: taps}, column(i))
			c.ADDQ(tap, taps)
		}
	}
	c.MOVQ(row, at)
	walk(at, pixel, pixels3, t.pixels(), func(i int, address operand.Mem) {
		var value operand.Op = address
		if t.count(i) > 1 {
			c.VMOVUPS(address, loaded)
			value = loaded
		}
		t.products(i, func(r, k int) {
			if gradient {
				c.fma(column(k), result(r), value)
			} else {
				c.fma(result(r), column(k), value)
			}
		})
	})
	for i := range t.columns {
		if gradient {
			c.VADDPS(operand.Mem{Base: taps}, column(i), column(i))
			c.VMOVUPS(column(i), operand.Mem{Base: taps})
			c.ADDQ(tap, taps)
		}
	}
	c.ADDQ(field(depthwiseXRow), row)
	c.ADDQ(field(depthwiseWSkip), taps)
	c.DECQ(rows)
	c.JNZ(operand.LabelRef(down))
	if !gradient {
		c.VBROADCASTSS(field(depthwiseFloor), column(0))
		limit := field(depthwiseFloor)
		limit.Disp += 4
		c.VBROADCASTSS(limit, loaded)
		walkResults(y, depthwiseYPixel, func(i int, address operand.Mem) {
			c.clip(result(i), column(0), loaded)
			c.VMOVUPS(result(i), address)
		})
		c.ADDQ(operand.I32(4*c.lanes), initial)
	}
	c.ADDQ(operand.I32(4*c.lanes), x)
	c.ADDQ(operand.I32(4*c.lanes), y)
	c.ADDQ(operand.I32(4*c.lanes), w)
	c.DECQ(vectors)
	c.JNZ(operand.LabelRef(channels))
	for _, each := range [][2]int{{depthwiseXLineAt, depthwiseXLine}, {depthwiseYLineAt, depthwiseYLine}, {depthwiseInitialLineAt, depthwiseInitialLine}} {
		c.MOVQ(field(each[1]), at)
		c.ADDQ(at, field(each[0]))
	}
	c.DECQ(field(depthwiseLines))
	c.JNZ(operand.LabelRef(line))
	c.end()
}
