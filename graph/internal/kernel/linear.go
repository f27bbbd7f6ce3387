package kernel

import (
	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// Linear is a fully connected layer, y = x·weightᵀ + bias, with x (batch, in),
// weight (out, in), bias (out) and y (batch, out).
type Linear[T Float] struct {
	batch, in, out int
	factors        factors[T]
}

// NewLinear returns the layer of a shape; all sizes must be at least 1. With bfloat16, the factors of
// products of float32 are rounded to bfloat16, in Forward and in Backward.
func NewLinear[T Float](batch, in, out int, bfloat16 bool) *Linear[T] {
	mustBeValid(atLeastOne("batch", batch))
	mustBeValid(atLeastOne("in", in))
	mustBeValid(atLeastOne("out", out))
	return &Linear[T]{batch, in, out, newFactors[T](bfloat16)}
}

// Forward writes y. A nil bias is zero.
func (l *Linear[T]) Forward(y, x, weight, bias []T) {
	checkOptional("bias", bias, l.out)
	checkLength("y", y, l.batch*l.out)
	if l.batch == 1 && !l.factors.rounded {
		checkLength("x", x, l.in)
		checkLength("weight", weight, l.in*l.out)
		l.forwardOne(y, x, weight, bias)
		return
	}
	for i := 0; i < len(y) && bias != nil; i += l.out {
		copy(y[i:i+l.out], bias)
	}
	l.factors.multiply(y, x, weight, l.batch, l.out, l.in, false, true, bias != nil)
}

// forwardOne is Forward for a batch of one: dot products, which are limited by the
// bandwidth of memory only.
func (l *Linear[T]) forwardOne(y, x, weight, bias []T) {
	e := vector.For[T]()
	bands := max(1, min(units, l.in*l.out>>14))
	parallel.For(bands, func(band int) {
		first, last := band*l.out/bands, (band+1)*l.out/bands
		e.DotRows(y[first:last], x, weight[first*l.in:last*l.in])
		if bias != nil {
			e.Add(y[first:last], bias[first:last])
		}
	})
}

// Backward writes the gradients that are not nil, given x, weight and the gradient dy of
// y. If add is set, the gradient of the weight is added to dweight.
func (l *Linear[T]) Backward(dx, dweight, dbias, x, weight, dy []T, add bool) {
	if dx != nil {
		l.factors.multiply(dx, dy, weight, l.batch, l.in, l.out, false, false, false)
	}
	if dweight != nil {
		l.factors.multiply(dweight, dy, x, l.out, l.in, l.batch, true, false, add)
	}
	if dbias != nil {
		sumRows(dbias, dy, l.batch, l.out)
	}
}

// MatMul writes the product c (m, n) of a (m, k) and b (k, n), or adds it to c if
// accumulate is set. With transposeA, a is given as (k, m); with transposeB, b is given as
// (n, k).
//
// It is designed for a large b, the weights of a layer, which is read once: only a is
// rearranged as a whole, and b is read in place if it is transposed.
func MatMul[T Float](c, a, b []T, m, n, k int, transposeA, transposeB, accumulate bool) {
	newFactors[T](false).multiply(c, a, b, m, n, k, transposeA, transposeB, accumulate)
}

// multiply is MatMul with these factors.
func (f factors[T]) multiply(c, a, b []T, m, n, k int, transposeA, transposeB, accumulate bool) {
	checkLength("c", c, m*n)
	checkLength("a", a, m*k)
	checkLength("b", b, k*n)
	w := borrow[T](0)
	defer w.release()
	e := f.products
	if transposeB {
		p, depth := &w.packed, f.count(k)
		p.resize(e, depth, m)
		if f.rounded && !transposeA {
			rounded := grow(&w.columns, m*depth)
			f.put(rounded, a, k)
			a = rounded
		}
		for i := range p.panels {
			if q := p.panel(i); transposeA {
				for l := range depth {
					p.put(q, l, f.row(&w.tile, a, l, k, m, m))
				}
			} else {
				p.putTransposed(e, q, a, depth)
			}
		}
		f.rowProducts(c, b, p, m, n, k, accumulate)
		return
	}
	if !transposeA {
		transposed, rows := grow(&w.columns, m*k), a
		bands := max(1, min(units, m*k>>14))
		parallel.For(bands, func(band int) {
			first, last := band*k/bands, (band+1)*k/bands
			e.Transpose(transposed[first*m:], m, rows[first:], k, m, last-first)
		})
		a = transposed
	}
	f.outerProducts(c, a, b, m, n, k, accumulate)
}

// rowDepth is the number of elements of each row that are multiplied at a time, so that
// the part of the packed factor that they need stays in the level 2 cache.
const rowDepth = 2048

// rowProducts multiplies the rows of b (n, k) by the packed a (k, m), some rows at a time,
// which gives the transpose of c.
func (f factors[T]) rowProducts(c, b []T, a *packed[T], m, n, k int, accumulate bool) {
	e := f.products
	bands := max(1, min(units, n/12))
	divide(bands, func(w *workspace[T], band int) {
		top, bottom := band*n/bands, (band+1)*n/bands
		rows := bottom - top
		offsets := grow(&w.offsets, 2*rows)
		result := grow(&w.convolved, rows*m)
		p := &w.product
		*p = vector.Rows[T]{Segments: 1, AOffsets: offsets[:rows], COffsets: offsets[rows:]}
		for i := range rows {
			p.AOffsets[i], p.COffsets[i] = int32(i*k), int32(i*m)
			if f.rounded {
				p.AOffsets[i] = int32(i * f.count(min(rowDepth, k)))
			}
		}
		for first := 0; first < k; first += rowDepth {
			depth := min(rowDepth, k-first)
			p.Length, p.Add = f.count(depth), first > 0
			if p.A = b[top*k+first:]; f.rounded {
				p.A = grow(&w.pairs, rows*f.count(min(rowDepth, k)))
				for i := range rows {
					f.put(p.A[p.AOffsets[i]:], b[(top+i)*k+first:][:depth], depth)
				}
			}
			for i := range a.panels {
				q := a.panel(i)
				p.C, p.Columns, p.Width = result[q.left:], q.columns, q.width
				p.B = q.data[f.count(first)*q.width*a.lanes:]
				e.Rows(p)
			}
		}
		if !accumulate {
			e.Transpose(c[top:], n, result, m, rows, m)
			return
		}
		transposed := grow(&w.active, rows*m)
		e.Transpose(transposed, rows, result, m, rows, m)
		for i := range m {
			e.Add(c[i*n+top:][:rows], transposed[i*rows:][:rows])
		}
	})
}

// A sum of outer products is computed for outerRows × outerColumns elements at a time: few
// rows, because all of them are written at the same time. outerParts such parts are one
// unit, for which the operands are copied to contiguous memory: rows at a distance of a
// multiple of 4 KiB, as those of many networks are, would share a few sets of the level 1
// cache.
const (
	outerRows    = 24
	outerColumns = 1024
	outerParts   = 4
)

// outerProducts adds up the outer products of the rows of a (k, m) and b (k, n).
func (f factors[T]) outerProducts(c, a, b []T, m, n, k int, accumulate bool) {
	e := f.products
	rows := outerParts * outerRows
	down := ceilDiv(m, rows)
	step := min(outerColumns, max(64, ceilDiv(ceilDiv(n, ceilDiv(units, down)), 64)*64))
	across := ceilDiv(n, step)
	depth := max(16, min(256, 1<<15/step))
	divide(down*across, func(w *workspace[T], unit int) {
		top, left := unit/across*rows, unit%across*step
		bottom, columns := min(top+rows, m), min(step, n-left)
		o := &w.outer
		*o = vector.Outer[T]{Columns: columns, CStride: columns}
		sums := grow(&w.results, (bottom-top)*columns)
		offsets := grow(&w.offsets, 2*depth)
		for i := range depth {
			offsets[i], offsets[depth+i] = int32(i*paddedStride(bottom-top)), int32(i*paddedStride(columns))
		}
		for first := 0; first < k; first += depth {
			terms := min(depth, k-first)
			count := f.count(terms)
			nearA := f.gatherRows(&w.tile, a[first*m+top:], terms, bottom-top, m)
			o.B = f.gatherRows(&w.values, b[first*n+left:], terms, columns, n)
			o.AOffsets, o.BOffsets = offsets[:count], offsets[depth:][:count]
			for row := top; row < bottom; row += outerRows {
				o.A, o.C, o.Run = nearA[row-top:], sums[(row-top)*columns:], min(outerRows, bottom-row)
				e.Outer(o)
			}
			o.Add = true
		}
		for row := top; row < bottom; row++ {
			to, sum := c[row*n+left:][:columns], sums[(row-top)*columns:]
			if accumulate {
				e.Add(to, sum[:columns])
			} else {
				copy(to, sum)
			}
		}
	})
}

// paddedStride returns the distance between rows of the given number of elements: an odd
// number of cache lines.
func paddedStride(columns int) int { return columns/32*32 + 48 }

// gatherRows returns the factors of a sum over rows, copies, with the distance paddedStride, of
// parts of rows that are stride elements apart.
func (f factors[T]) gatherRows(space *[]T, x []T, rows, columns, stride int) []T {
	to := grow(space, f.count(rows)*paddedStride(columns))
	for i := range f.count(rows) {
		if f.rounded {
			f.putRow(to[i*paddedStride(columns):], x, i, rows, stride, columns)
		} else {
			copy(to[i*paddedStride(columns):][:columns], x[i*stride:])
		}
	}
	return to
}

// packed is a matrix (depth, columns) in the order in which a product reads it: panels of
// a few vectors of columns, one after the other, of as equal a width as possible. Elements
// beyond the last column are zero.
type packed[T Float] struct {
	data           []T
	depth, columns int
	lanes, panels  int
	vectors        int // of a row
}

// resize sets the shape of the matrix, whose elements are then set panel by panel.
func (p *packed[T]) resize(e vector.Engine[T], depth, columns int) {
	p.layout(e, depth, columns)
	grow(&p.data, p.vectors*p.lanes*depth)
}

// layout sets the shape and the division into panels, without memory for elements.
func (p *packed[T]) layout(e vector.Engine[T], depth, columns int) {
	p.depth, p.columns, p.lanes = depth, columns, e.Lanes()
	p.vectors = ceilDiv(columns, p.lanes)
	p.panels = ceilDiv(p.vectors, e.MaxWidth())
}

// paddedColumns returns the number of columns including those that fill the last vector.
func (p *packed[T]) paddedColumns() int { return p.vectors * p.lanes }

// panelColumns returns the first column of a panel, its number of columns and its width in
// vectors.
func (p *packed[T]) panelColumns(i int) (left, columns, width int) {
	if p.panels == 1 { // without divisions, which take as long as a small product
		return 0, p.columns, p.vectors
	}
	first, last := i*p.vectors/p.panels, (i+1)*p.vectors/p.panels
	left = first * p.lanes
	return left, min(last*p.lanes, p.columns) - left, last - first
}

// panel is the columns [left, left+columns) of a packed matrix.
type panel[T Float] struct {
	data          []T // (depth, width·lanes)
	left, columns int
	width         int // in vectors
}

func (p *packed[T]) panel(i int) panel[T] {
	q := p.panelLayout(i)
	q.data = p.data[q.left*p.depth:][:q.width*p.lanes*p.depth]
	return q
}

// panelLayout returns a panel without its data.
func (p *packed[T]) panelLayout(i int) panel[T] {
	left, columns, width := p.panelColumns(i)
	return panel[T]{left: left, columns: columns, width: width}
}

// put sets row k of a panel, given row k of the matrix.
func (p *packed[T]) put(q panel[T], k int, row []T) {
	to := q.data[k*q.width*p.lanes:][:q.width*p.lanes]
	clear(to[copy(to, row[q.left:][:q.columns]):])
}

// putTransposed sets a panel, given the transpose (columns, depth) of the matrix, whose rows
// are stride elements apart.
func (p *packed[T]) putTransposed(e vector.Engine[T], q panel[T], matrix []T, stride int) {
	wide := q.width * p.lanes
	if q.columns < wide {
		clear(q.data)
	}
	e.Transpose(q.data, wide, matrix[q.left*stride:], stride, q.columns, p.depth)
}
