package kernel

// A matrix product is built of tiles of tileRows × tileColumns elements whose
// sums stay in registers while the inner dimension is walked through. More of
// them would be better for the processor, but with more than six sums Go's
// compiler (1.26, amd64) runs out of registers, as it defers all additions to
// the end of the loop's body.
const (
	tileRows    = 2
	tileColumns = 3
)

// panels is a matrix of k rows, packed for tiles: tileColumns neighbouring
// columns make a panel of k elements, and the panels follow each other. The
// last one may be wider than the matrix; what it holds there does not count.
type panels[T Float] = [][tileColumns]T

// panelCount returns the number of panels of n columns.
func panelCount(n int) int { return ceilDiv(n, tileColumns) }

// tile returns the products of two rows, x and y, with the columns of a panel.
func tile[T Float](x, y []T, panel panels[T]) (x0, x1, x2, y0, y1, y2 T) {
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

// matrix is a block of a row-major matrix whose rows start stride elements
// apart.
type matrix[T Float] struct {
	data   []T
	stride int
}

// multiply adds to c (m, n) the product of a (m, k) and the panels b (k, n),
// which start panelStride elements apart.
func multiply[T Float](c, a matrix[T], b panels[T], panelStride, m, n, k int) {
	for j := 0; j < n; j += tileColumns {
		panel := b[j/tileColumns*panelStride:][:k]
		width := min(tileColumns, n-j)
		for i := 0; i < m; i += tileRows {
			next := min(i+1, m-1) // the last row of an odd number is multiplied twice
			x0, x1, x2, y0, y1, y2 := tile(a.data[i*a.stride:], a.data[next*a.stride:], panel)
			addTo(c.data[i*c.stride+j:][:width], x0, x1, x2)
			if next > i {
				addTo(c.data[next*c.stride+j:][:width], y0, y1, y2)
			}
		}
	}
}

// addTo adds a tile's row to at most tileColumns elements.
func addTo[T Float](c []T, v0, v1, v2 T) {
	if len(c) == tileColumns {
		c[0] += v0
		c[1] += v1
		c[2] += v2
		return
	}
	row := [tileColumns]T{v0, v1, v2}
	for j := range c {
		c[j] += row[j]
	}
}

// pack writes the panels of b (k, n).
func pack[T Float](to panels[T], b matrix[T], k, n int) {
	for j := 0; j < n; j += tileColumns {
		panel := to[j/tileColumns*k:][:k]
		if n-j < tileColumns {
			for l := range panel {
				panel[l] = [tileColumns]T{}
				copy(panel[l][:n-j], b.data[l*b.stride+j:])
			}
			continue
		}
		for l := range panel {
			panel[l] = [tileColumns]T(b.data[l*b.stride+j:])
		}
	}
}

// packTransposed writes the panels of the transpose of b (n, k).
func packTransposed[T Float](to panels[T], b matrix[T], k, n int) {
	row := func(j int) []T { return b.data[min(j, n-1)*b.stride:][:k] }
	for j := 0; j < n; j += tileColumns {
		x, y, z := row(j), row(j+1), row(j+2)
		panel := to[j/tileColumns*k:][:k]
		for l := range panel {
			panel[l] = [tileColumns]T{x[l], y[l], z[l]}
		}
	}
}
