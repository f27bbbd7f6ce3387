package vector

import "unsafe"

// Add writes y += x.
func (s *Set) Add(y, x []float32) {
	s.add(pointer(y, len(x)), unsafe.SliceData(x), len(x))
}

// Scale writes y = factor·x.
func (s *Set) Scale(y, x []float32, factor float32) {
	s.scale(pointer(y, len(x)), unsafe.SliceData(x), len(x), factor)
}

// ReLU writes y = max(x, 0).
func (s *Set) ReLU(y, x []float32) {
	s.relu(pointer(y, len(x)), unsafe.SliceData(x), len(x))
}

// ReLUGradient writes dx = dy where x > 0, and 0 elsewhere; where x is NaN, dy.
func (s *Set) ReLUGradient(dx, x, dy []float32) {
	n := len(dy)
	s.reluGradient(pointer(dx, n), pointer(x, n), unsafe.SliceData(dy), n)
}

// AddDifference adds factor·(x − y) to dx.
func (s *Set) AddDifference(dx, x, y []float32, factor float32) {
	n := len(x)
	s.addDifference(pointer(dx, n), unsafe.SliceData(x), pointer(y, n), n, factor)
}

// Dot returns the sum of products.
func (s *Set) Dot(x, y []float32) float32 {
	return s.dot(unsafe.SliceData(x), pointer(y, len(x)), len(x))
}

// SquaredDistance returns Σ(xᵢ − yᵢ)².
func (s *Set) SquaredDistance(x, y []float32) float64 {
	return s.squaredDistance(unsafe.SliceData(x), pointer(y, len(x)), len(x))
}

// AbsoluteDistance returns Σ|xᵢ − yᵢ|.
func (s *Set) AbsoluteDistance(x, y []float32) float64 {
	return s.absoluteDistance(unsafe.SliceData(x), pointer(y, len(x)), len(x))
}

// WeightedDistance returns Σ weightᵢ·|xᵢ − yᵢ|.
func (s *Set) WeightedDistance(x, y, weight []float32) float64 {
	n := len(x)
	return s.weightedDistance(unsafe.SliceData(x), pointer(y, n), pointer(weight, n), n)
}

// SquaredNorm returns Σxᵢ².
func (s *Set) SquaredNorm(x []float32) float64 {
	return s.squaredNorm(unsafe.SliceData(x), len(x))
}

// pointer returns where an array begins; it panics unless the array has n
// elements.
func pointer[E any](x []E, n int) *E { return unsafe.SliceData(x[:n]) }
