package kernel

import "github.com/likeness-go/likeness/internal/vector"

// MatMul writes the product c (m, n) of a (m, k) and b (k, n), or adds it to c
// if accumulate is set. With transposeA, a is given as (k, m), with transposeB
// b as (n, k).
//
// It is made for a large b, the weights of a layer, which is read once: only a is
// brought to another order as a whole, and b is read in place if it is transposed.
func MatMul[T Float](c, a, b []T, m, n, k int, transposeA, transposeB, accumulate bool) {
	checkLength("c", c, m*n)
	checkLength("a", a, m*k)
	checkLength("b", b, k*n)
	w := borrow[T](0)
	defer w.giveBack()
	e := vector.For[T]()
	if transposeB {
		p := &w.packed
		p.shape(e, k, m)
		for i := range p.panels {
			if q := p.panel(i); transposeA {
				for l := range k {
					p.put(q, l, a[l*m:][:m])
				}
			} else {
				p.putTransposed(e, q, a, k)
			}
		}
		rowProducts(e, c, b, p, m, n, k, accumulate)
		return
	}
	if !transposeA {
		transposed := grow(&w.columns, m*k)
		e.Transpose(transposed, m, a, k, m, k)
		a = transposed
	}
	outerProducts(e, c, a, b, m, n, k, accumulate)
}

// rowDepth is how many elements of rows are multiplied at a time, so that this
// much of the packed factor stays in the level 2 cache.
const rowDepth = 2048

// rowProducts multiplies the rows of b (n, k) by the packed a (k, m), which
// gives the transpose of c, some rows at a time.
func rowProducts[T Float](e vector.Engine[T], c, b []T, a *packed[T], m, n, k int, accumulate bool) {
	bands := max(1, min(units, n/12))
	parallel(bands, func(w *workspace[T], band int) {
		top, bottom := band*n/bands, (band+1)*n/bands
		rows := bottom - top
		offsets := grow(&w.offsets, 2*rows)
		result := grow(&w.convolved, rows*m)
		p := &w.product
		*p = vector.Rows[T]{Segments: 1, AOffsets: offsets[:rows], COffsets: offsets[rows:]}
		for i := range rows {
			p.AOffsets[i], p.COffsets[i] = int32(i*k), int32(i*m)
		}
		for first := 0; first < k; first += rowDepth {
			p.Length, p.Add = min(rowDepth, k-first), first > 0
			p.A = b[top*k+first:]
			for i := range a.panels {
				q := a.panel(i)
				p.C, p.Columns, p.Width = result[q.left:], q.columns, q.width
				p.B = q.data[first*q.width*a.lanes:]
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

// A sum of outer products is of outerRows × outerColumns elements at a time: few
// rows, as all of them are written to together. Some such parts are a unit, for
// which what they read is brought together: rows a multiple of 4 KiB apart, as those
// of many networks are, would crowd into a few sets of the level 1 cache.
const (
	outerRows    = 24
	outerColumns = 1024
	outerParts   = 4
)

// outerProducts adds up the outer products of the rows of a (k, m) and b (k, n).
func outerProducts[T Float](e vector.Engine[T], c, a, b []T, m, n, k int, accumulate bool) {
	step := min(outerColumns, max(64, ceilDiv(ceilDiv(n, units), 64)*64))
	across := ceilDiv(n, step)
	depth := max(16, min(256, 1<<15/step))
	rows := outerParts * outerRows
	parallel(ceilDiv(m, rows)*across, func(w *workspace[T], unit int) {
		top, left := unit/across*rows, unit%across*step
		bottom, columns := min(top+rows, m), min(step, n-left)
		o := &w.outer
		*o = vector.Outer[T]{Columns: columns, CStride: columns}
		sums := grow(&w.results, (bottom-top)*columns)
		offsets := grow(&w.offsets, 2*depth)
		for i := range depth {
			offsets[i], offsets[depth+i] = int32(i*spread(bottom-top)), int32(i*spread(columns))
		}
		for first := 0; first < k; first += depth {
			count := min(depth, k-first)
			nearA := together(&w.tile, a[first*m+top:], count, bottom-top, m)
			o.B = together(&w.values, b[first*n+left:], count, columns, n)
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

// spread is how far rows of so many elements lie apart: an odd number of lines.
func spread(columns int) int { return columns/32*32 + 48 }

// together returns a copy of parts of so many rows, which lie so far apart.
func together[T Float](space *[]T, x []T, rows, columns, apart int) []T {
	to := grow(space, rows*spread(columns))
	for i := range rows {
		copy(to[i*spread(columns):][:columns], x[i*apart:])
	}
	return to
}
