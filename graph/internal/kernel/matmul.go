package kernel

import "github.com/likeness-go/likeness/internal/vector"

// A unit of a matrix product is a panel of the result's columns, or some rows
// of one where there are few panels. The right factor is packed blockDepth rows
// at a time, so that they stay in the level 2 cache.
const (
	blockRows  = 192
	blockDepth = 512
)

// MatMul writes the product c (m, n) of a (m, k) and b (k, n), or adds it to c
// if accumulate is set. With transposeA, a is given as (k, m), with transposeB
// b as (n, k).
func MatMul[T Float](c, a, b []T, m, n, k int, transposeA, transposeB, accumulate bool) {
	checkLength("c", c, m*n)
	checkLength("a", a, m*k)
	checkLength("b", b, k*n)
	if transposeA && !transposeB {
		outerProducts(c, a, b, m, n, k, accumulate)
		return
	}
	e := vector.For[T]()
	var whole packed[T] // for its division into panels alone
	whole.layout(e, k, n)
	bands := 1
	if whole.panels < units {
		bands = min(ceilDiv(units, whole.panels), ceilDiv(m, blockRows))
	}
	Parallel(whole.panels*bands, func(unit int) {
		left, columns, width := whole.place(unit / bands)
		top, bottom := unit%bands*m/bands, (unit%bands+1)*m/bands
		w := borrow[T]()
		defer w.giveBack()
		offsets := grow(&w.offsets, 2*(bottom-top))
		from, to := offsets[:bottom-top], offsets[bottom-top:]
		p := &w.product
		for first := 0; first < k; first += blockDepth {
			depth := min(blockDepth, k-first)
			packBlock(e, w, b, n, k, first, depth, left, columns, width*whole.lanes, transposeB)
			*p = vector.Rows[T]{
				C: c[left:], B: w.columns, Width: width, Columns: columns,
				Segments: 1, Length: depth, AOffsets: from, COffsets: to, Add: accumulate || first > 0,
			}
			row := k
			if p.A = a[first:]; transposeA {
				// The rows are read in place, so they must be rows.
				rows := grow(&w.halo, (bottom-top)*depth)
				e.Transpose(rows, depth, a[first*m+top:], m, depth, bottom-top)
				p.A, row = rows, depth
			}
			for i := range from {
				at := i
				if !transposeA {
					at += top
				}
				from[i], to[i] = int32(at*row), int32((top+i)*n)
			}
			e.Rows(p)
		}
	})
}

// packBlock packs depth rows from the first on and some columns of b.
func packBlock[T Float](e vector.Engine[T], w *workspace[T], b []T, n, k, first, depth, left, columns, wide int, transposed bool) {
	block := grow(&w.columns, depth*wide)
	if columns < wide {
		clear(block)
	}
	if transposed {
		e.Transpose(block, wide, b[left*k+first:], k, columns, depth)
		return
	}
	for i := range depth {
		copy(block[i*wide:][:columns], b[(first+i)*n+left:])
	}
}

// outerProducts is MatMul of a transposed: a sum of outer products of the rows
// of a and b, which are read in place.
func outerProducts[T Float](c, a, b []T, m, n, k int, accumulate bool) {
	e := vector.For[T]()
	step := max(1, min(96, ceilDiv(m, units)))
	Parallel(ceilDiv(m, step), func(unit int) {
		top := unit * step
		w := borrow[T]()
		defer w.giveBack()
		o := &w.outer
		*o = vector.Outer[T]{
			C: c[top*n:], A: a[top:], B: b, Run: min(step, m-top), Columns: n, CStride: n, Add: accumulate,
		}
		for first := 0; first < k; first += weightPixels {
			count := min(weightPixels, k-first)
			offsets := grow(&w.offsets, 2*count)
			o.AOffsets, o.BOffsets = offsets[:count], offsets[count:]
			for i := range count {
				o.AOffsets[i], o.BOffsets[i] = int32((first+i)*m), int32((first+i)*n)
			}
			e.Outer(o)
			o.Add = true
		}
	})
}
