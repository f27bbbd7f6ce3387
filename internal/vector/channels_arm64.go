package vector

import "unsafe"

// The loops of batch norm. Each takes rows of n channels.

// Normalize writes y = (x − mean)·scale + shift.
func (s *Set) Normalize(y, x, mean, scale, shift []float32) {
	if len(x) == 0 {
		return
	}
	n := len(mean)
	m, factor, offset := pointers(n, mean, scale, shift)
	normalize_neon(unsafe.SliceData(y[:len(x)]), &x[0], m, factor, offset, n, len(x)/n)
}

// Centre writes dx = scale·(dy − dyMean − (x − mean)·along).
func (s *Set) Centre(dx, x, dy, mean, scale, along, dyMean []float32) {
	if len(x) == 0 {
		return
	}
	n := len(mean)
	m, factor, slope := pointers(n, mean, scale, along)
	to, shift := unsafe.SliceData(dx[:len(x)]), unsafe.SliceData(dyMean[:n])
	if dy == nil {
		centreZero_neon(to, &x[0], m, factor, slope, shift, n, len(x)/n)
		return
	}
	centre_neon(to, &x[0], unsafe.SliceData(dy[:len(x)]), m, factor, slope, shift, n, len(x)/n)
}

// ScaleChannels writes dx = dy·scale.
func (s *Set) ScaleChannels(dx, dy, scale []float32) {
	if len(dy) == 0 {
		return
	}
	scaleChannels_neon(unsafe.SliceData(dx[:len(dy)]), &dy[0], &scale[0], len(scale), len(dy)/len(scale))
}

// SumRows adds the rows of x to sum.
func (s *Set) SumRows(sum []float64, x []float32) {
	if len(x) == 0 {
		return
	}
	sumRows_neon(&sum[0], &x[0], len(sum), len(x)/len(sum))
}

// SumSquares adds (x − mean)² to sum.
func (s *Set) SumSquares(sum []float64, x, mean []float32) {
	if len(x) == 0 {
		return
	}
	n := len(sum)
	sumSquares_neon(&sum[0], &x[0], unsafe.SliceData(mean[:n]), n, len(x)/n)
}

// SumProducts adds dy·(x − mean) and dy to the halves of sum.
func (s *Set) SumProducts(sum []float64, x, dy, mean []float32) {
	if len(x) == 0 {
		return
	}
	n := len(mean)
	sumProducts_neon(unsafe.SliceData(sum[:2*n]), &x[0], unsafe.SliceData(dy[:len(x)]), &mean[0], n, len(x)/n)
}
