package kernel

import "github.com/likeness-go/likeness/internal/vector"

// MatMul writes the product c (m, n) of a (m, k) and b (k, n), or adds it to c
// if accumulate is set. With transposeA, a is given as (k, m), with transposeB
// b as (n, k).
//
// It is made for a large b, the weights of a layer, which is read once and in
// place: only a is brought to another order.
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

// A unit of a sum of outer products is outerRows × outerColumns elements: few
// rows, as all of them are written to at the same time.
const (
	outerRows    = 24
	outerColumns = 1024
)

// outerProducts adds up the outer products of the rows of a (k, m) and b (k, n).
func outerProducts[T Float](e vector.Engine[T], c, a, b []T, m, n, k int, accumulate bool) {
	step := min(outerColumns, max(64, ceilDiv(ceilDiv(n, units), 64)*64))
	across := ceilDiv(n, step)
	depth := max(16, min(256, 1<<15/step))
	parallel(ceilDiv(m, outerRows)*across, func(w *workspace[T], unit int) {
		top, left := unit/across*outerRows, unit%across*step
		o := &w.outer
		*o = vector.Outer[T]{
			C: c[top*n+left:], Run: min(outerRows, m-top), Columns: min(step, n-left), CStride: n, Add: accumulate,
		}
		offsets := grow(&w.offsets, 2*depth)
		for i := range depth {
			offsets[i], offsets[depth+i] = int32(i*m), int32(i*n)
		}
		for first := 0; first < k; first += depth {
			count := min(depth, k-first)
			o.A, o.B = a[first*m+top:], b[first*n+left:]
			o.AOffsets, o.BOffsets = offsets[:count], offsets[depth:][:count]
			e.Outer(o)
			o.Add = true
		}
	})
}
