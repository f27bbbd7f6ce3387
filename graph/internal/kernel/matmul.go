package kernel

// A unit of a matrix product is a block of blockRows × blockColumns elements of
// the result, for which both factors are taken blockDepth at a time so as to
// stay in the cache.
const (
	blockRows    = 128
	blockColumns = 16 * tileColumns
	blockDepth   = 256
)

// MatMul writes the product c (m, n) of a (m, k) and b (k, n), or adds it to c
// if accumulate is set. With transposeA, a is given as (k, m), with transposeB
// b as (n, k).
func MatMul[T Float](c, a, b []T, m, n, k int, transposeA, transposeB, accumulate bool) {
	checkLength("c", c, m*n)
	checkLength("a", a, m*k)
	checkLength("b", b, k*n)
	across := ceilDiv(n, blockColumns)
	Parallel(ceilDiv(m, blockRows)*across, func(unit int) {
		top, left := unit/across*blockRows, unit%across*blockColumns
		rows, columns := min(blockRows, m-top), min(blockColumns, n-left)
		block := matrix[T]{c[top*n+left:], n}
		if !accumulate {
			for i := range rows {
				clear(block.data[i*n:][:columns])
			}
		}
		work := borrow[T]()
		defer work.giveBack()
		for first := 0; first < k; first += blockDepth {
			depth := min(blockDepth, k-first)
			right := grow(&work.panels, panelCount(columns)*depth)
			if transposeB {
				packTransposed(right, matrix[T]{b[left*k+first:], k}, depth, columns)
			} else {
				pack(right, matrix[T]{b[first*n+left:], n}, depth, columns)
			}
			if transposeA {
				rowMajor := grow(&work.rows, rows*depth)
				transpose(rowMajor, a[first*m+top:], depth, rows, m)
				multiply(block, matrix[T]{rowMajor, depth}, right, depth, rows, columns, depth)
			} else {
				multiply(block, matrix[T]{a[top*k+first:], k}, right, depth, rows, columns, depth)
			}
		}
	})
}
