package vector

import (
	"unsafe"
)

// Portable is the engine in plain Go: for float64, for processors whose instruction sets
// this package does not support, and as the reference for all others.
type Portable[T Float] struct{}

// A tile of sums that stay in registers is tileRows × tileColumns elements.
// A larger tile would suit the processor better, but with more than six sums Go's compiler
// (1.26, amd64) runs out of registers, because it defers all additions to the end of the
// loop.
const (
	tileRows    = 2
	tileColumns = 3
)

// Name returns "portable".
func (Portable[T]) Name() string { return "portable" }

// Lanes returns the width of a tile.
func (Portable[T]) Lanes() int { return tileColumns }

// MaxWidth returns 1.
func (Portable[T]) MaxWidth() int { return 1 }

// Rows computes a product of rows and packed columns.
func (Portable[T]) Rows(r *Rows[T]) {
	if len(r.AOffsets) == 0 {
		return
	}
	panel := unsafe.Slice((*[tileColumns]T)(unsafe.Pointer(&r.B[0])), len(r.B)/tileColumns)
	var initial [tileColumns]T
	copy(initial[:], r.Initial)
	last := len(r.AOffsets) - 1
	for i := 0; i <= last; i += tileRows {
		next := min(i+1, last) // the last row of an odd number is multiplied twice
		x, y := r.A[r.AOffsets[i]:], r.A[r.AOffsets[next]:]
		sum, other := initial, initial
		for s := range r.Segments {
			at := s * r.Stride
			x0, x1, x2, y0, y1, y2 := tile(x[at:], y[at:], panel[s*r.Length:][:r.Length])
			sum = [tileColumns]T{sum[0] + x0, sum[1] + x1, sum[2] + x2}
			other = [tileColumns]T{other[0] + y0, other[1] + y1, other[2] + y2}
		}
		r.put(i, &sum)
		if next > i {
			r.put(next, &other)
		}
	}
}

func (r *Rows[T]) put(i int, sum *[tileColumns]T) {
	to := r.C[r.COffsets[i]:][:r.Columns]
	from := to
	if r.Addend != nil {
		from = r.Addend[r.COffsets[i]:]
	}
	for j := range to {
		if r.Add {
			to[j] = from[j] + sum[j]
		} else {
			to[j] = sum[j]
		}
	}
	ApplyClip(r.Clip, to)
}

// tile returns the products of two rows, x and y, with the columns of a panel.
func tile[T Float](x, y []T, panel [][tileColumns]T) (x0, x1, x2, y0, y1, y2 T) {
	x, y = x[:len(panel)], y[:len(panel)]
	for k := range panel {
		w, v, u := &panel[k], x[k], y[k]
		x0 += v * w[0]
		x1 += v * w[1]
		x2 += v * w[2]
		y0 += u * w[0]
		y1 += u * w[1]
		y2 += u * w[2]
	}
	return
}

// Outer computes a sum of outer products.
func (Portable[T]) Outer(o *Outer[T]) {
	for i := 0; i < o.Run; i += tileRows {
		for j := 0; j < o.Columns; j += tileColumns {
			rows, columns := min(tileRows, o.Run-i), min(tileColumns, o.Columns-j)
			sum := o.tile(i, j)
			if rows < tileRows || columns < tileColumns {
				sum = o.edge(i, j, rows, columns)
			}
			for row := range rows {
				to := o.C[(i+row)*o.CStride+j:][:columns]
				for column := range to {
					if o.Add {
						to[column] += sum[row][column]
					} else {
						to[column] = sum[row][column]
					}
				}
			}
		}
	}
}

func (o *Outer[T]) tile(i, j int) (sum [tileRows][tileColumns]T) {
	if i+tileRows > o.Run || j+tileColumns > o.Columns {
		return
	}
	var x0, x1, x2, y0, y1, y2 T
	offsets := o.BOffsets[:len(o.AOffsets)]
	for p, at := range o.AOffsets {
		run := (*[tileRows]T)(o.A[int(at)+i:])
		part := (*[tileColumns]T)(o.B[int(offsets[p])+j:])
		v, u := run[0], run[1]
		x0 += v * part[0]
		x1 += v * part[1]
		x2 += v * part[2]
		y0 += u * part[0]
		y1 += u * part[1]
		y2 += u * part[2]
	}
	return [tileRows][tileColumns]T{{x0, x1, x2}, {y0, y1, y2}}
}

func (o *Outer[T]) edge(i, j, rows, columns int) (sum [tileRows][tileColumns]T) {
	for p, at := range o.AOffsets {
		run, part := o.A[int(at)+i:][:rows], o.B[int(o.BOffsets[p])+j:][:columns]
		for row, v := range run {
			for column, w := range part {
				sum[row][column] += v * w
			}
		}
	}
	return sum
}

// InnerTile returns the size of a tile of InnerProducts.
func (Portable[T]) InnerTile() (rows, columns int) { return tileRows, tileColumns }

// InnerProducts adds a tile of inner products.
func (Portable[T]) InnerProducts(c []float64, stride int, a, b []float64) {
	first, second := c[:tileColumns], c[stride:][:tileColumns]
	x0, x1, x2, y0, y1, y2 := first[0], first[1], first[2], second[0], second[1], second[2]
	for len(a) >= tileRows && len(b) >= tileColumns {
		v, u := a[0], a[1]
		w0, w1, w2 := b[0], b[1], b[2]
		x0 += v * w0
		x1 += v * w1
		x2 += v * w2
		y0 += u * w0
		y1 += u * w1
		y2 += u * w2
		a, b = a[tileRows:], b[tileColumns:]
	}
	first[0], first[1], first[2], second[0], second[1], second[2] = x0, x1, x2, y0, y1, y2
}

// InnerSquares adds the sums of squares of columns.
func (Portable[T]) InnerSquares(sum, b []float64) { innerSquares(sum, b, tileColumns) }

func innerSquares(sum, b []float64, columns int) {
	sum = sum[:columns]
	for ; len(b) >= columns; b = b[columns:] {
		for j, v := range b[:columns] {
			sum[j] += v * v
		}
	}
}

// Widen converts x to float64.
func (Portable[T]) Widen(y []float64, x []T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = float64(v)
	}
}

// MultiplyAdds multiplies and adds in registers, a tile of Rows at a time.
func (Portable[T]) MultiplyAdds(iterations int) int {
	var a, b, c, d, e, f T
	x, y, u, v, w := T(1), T(2), T(3), T(4), T(5)
	for range iterations {
		a += x * u
		b += x * v
		c += x * w
		d += y * u
		e += y * v
		f += y * w
		x, y = y, x // so that the compiler does not move the products out of the loop
	}
	if a+b+c+d+e+f < 0 {
		panic("vector: a sum of products of positive numbers is negative") // so that the sums are used
	}
	return 2 * tileRows * tileColumns * iterations
}
