package vector

import "unsafe"

// Transpose writes the transpose of x: blocks of 4×4 in assembly, what is left
// as Portable.
func (s *Set) Transpose(y []float32, yStride int, x []float32, xStride, rows, columns int) {
	const side = 4
	blocks := rows / side
	wholeRows, wholeColumns := blocks*side, columns/side*side
	if blocks > 0 {
		for left := 0; left < wholeColumns; left += side {
			from := x[left:][:(wholeRows-1)*xStride+side]
			to := y[left*yStride:][:(side-1)*yStride+wholeRows]
			transpose_neon(&to[0], 4*yStride, &from[0], 4*xStride, blocks)
		}
	}
	if wholeRows < rows && wholeColumns > 0 {
		s.Portable.Transpose(y[wholeRows:], yStride, x[wholeRows*xStride:], xStride, rows-wholeRows, wholeColumns)
	}
	if wholeColumns < columns && rows > 0 {
		s.Portable.Transpose(y[wholeColumns*yStride:], yStride, x[wholeColumns:], xStride, rows, columns-wholeColumns)
	}
}

// pointers returns where arrays of n elements begin.
func pointers(n int, x, y, z []float32) (*float32, *float32, *float32) {
	return unsafe.SliceData(x[:n]), unsafe.SliceData(y[:n]), unsafe.SliceData(z[:n])
}

// Add writes y += x.
func (s *Set) Add(y, x []float32) {
	add_neon(unsafe.SliceData(y[:len(x)]), unsafe.SliceData(x), len(x))
}

// Scale writes y = factor·x.
func (s *Set) Scale(y, x []float32, factor float32) {
	scale_neon(unsafe.SliceData(y[:len(x)]), unsafe.SliceData(x), len(x), factor)
}

// ReLU writes y = max(x, 0).
func (s *Set) ReLU(y, x []float32) {
	relu_neon(unsafe.SliceData(y[:len(x)]), unsafe.SliceData(x), len(x))
}

// ReLUGradient writes dx = dy where x > 0, and 0 elsewhere; where x is NaN, dy.
func (s *Set) ReLUGradient(dx, x, dy []float32) {
	to, from, gradient := pointers(len(dy), dx, x, dy)
	reluGradient_neon(to, from, gradient, len(dy))
}

// AddDifference adds factor·(x − y) to dx.
func (s *Set) AddDifference(dx, x, y []float32, factor float32) {
	to, from, other := pointers(len(x), dx, x, y)
	addDifference_neon(to, from, other, len(x), factor)
}

// Dot returns the sum of products.
func (s *Set) Dot(x, y []float32) float32 {
	return dot_neon(unsafe.SliceData(x), unsafe.SliceData(y[:len(x)]), len(x))
}

// SquaredDistance returns Σ(xᵢ − yᵢ)².
func (s *Set) SquaredDistance(x, y []float32) float64 {
	return squaredDistance_neon(unsafe.SliceData(x), unsafe.SliceData(y[:len(x)]), len(x))
}

// AbsoluteDistance returns Σ|xᵢ − yᵢ|.
func (s *Set) AbsoluteDistance(x, y []float32) float64 {
	return absoluteDistance_neon(unsafe.SliceData(x), unsafe.SliceData(y[:len(x)]), len(x))
}

// WeightedDistance returns Σ weightᵢ·|xᵢ − yᵢ|.
func (s *Set) WeightedDistance(x, y, weight []float32) float64 {
	from, other, w := pointers(len(x), x, y, weight)
	return weightedDistance_neon(from, other, w, len(x))
}
