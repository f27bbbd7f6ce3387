package vector

import "unsafe"

// Normalize writes y = (x − mean)·scale + shift.
func (s *Set) Normalize(y, x, mean, scale, shift []float32) {
	if s.waits(y, x, mean) {
		s.Portable.Normalize(y, x, mean, scale, shift)
		return
	}
	if rows, channels := rowsOf(x, len(mean)); rows > 0 {
		s.normalize(pointer(y, len(x)), &x[0], &mean[0], pointer(scale, channels), pointer(shift, channels), rows, channels)
	}
}

// Centre writes dx = scale·(dy − dyMean − (x − mean)·along).
func (s *Set) Centre(dx, x, dy, mean, scale, along, dyMean []float32) {
	if s.waits(dx, x, mean) || s.waits(dx, dy, mean) {
		s.Portable.Centre(dx, x, dy, mean, scale, along, dyMean)
		return
	}
	rows, channels := rowsOf(x, len(mean))
	if rows == 0 {
		return
	}
	run := s.centre
	if dy == nil {
		run = s.centreAlone
	} else {
		_ = dy[:len(x)]
	}
	run(pointer(dx, len(x)), &x[0], unsafe.SliceData(dy), &mean[0], pointer(scale, channels),
		pointer(along, channels), pointer(dyMean, channels), rows, channels)
}

// ScaleChannels writes dx = dy·scale.
func (s *Set) ScaleChannels(dx, dy, scale []float32) {
	if s.waits(dx, dy, scale) {
		s.Portable.ScaleChannels(dx, dy, scale)
		return
	}
	if rows, channels := rowsOf(dy, len(scale)); rows > 0 {
		s.scaleChannels(pointer(dx, len(dy)), &dy[0], &scale[0], rows, channels)
	}
}

// SumRows adds the rows of x to sum.
func (s *Set) SumRows(sum []float64, x []float32) {
	if rows, channels := rowsOf(x, len(sum)); rows > 0 {
		s.sumRows(&sum[0], &x[0], rows, channels)
	}
}

// SumSquares adds (x − mean)² to sum.
func (s *Set) SumSquares(sum []float64, x, mean []float32) {
	if rows, channels := rowsOf(x, len(sum)); rows > 0 {
		s.sumSquares(&sum[0], &x[0], pointer(mean, channels), rows, channels)
	}
}

// SumProducts adds dy·(x − mean) and dy to the halves of sum.
func (s *Set) SumProducts(sum []float64, x, dy, mean []float32) {
	if rows, channels := rowsOf(x, len(mean)); rows > 0 {
		s.sumProducts(pointer(sum, 2*channels), &x[0], pointer(dy, len(x)), &mean[0], rows, channels)
	}
}

// rowsOf returns the shape of x, rows of channels elements; it panics unless
// they are whole.
func rowsOf(x []float32, channels int) (int, int) {
	if len(x) == 0 {
		return 0, channels
	}
	if len(x)%channels != 0 {
		panic("vector: not whole rows of channels")
	}
	return len(x) / channels, channels
}

// waits says whether rows are shorter than a vector and are overwritten: then
// each load of a vector would wait for the store of the row before.
func (s *Set) waits(y, x, channels []float32) bool {
	return len(channels) < s.lanes && unsafe.SliceData(y) == unsafe.SliceData(x)
}
