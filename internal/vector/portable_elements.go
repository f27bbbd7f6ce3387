package vector

import "math"

// Transpose writes the transpose of x, a few columns at a time: the cache
// cannot hold many places to write to that lie far apart.
func (Portable[T]) Transpose(y []T, yStride int, x []T, xStride, rows, columns int) {
	const few = 8
	for left := 0; left < columns; left += few {
		width := min(few, columns-left)
		for i := range rows {
			to := left*yStride + i
			for _, v := range x[i*xStride+left:][:width] {
				y[to] = v
				to += yStride
			}
		}
	}
}

// Dot returns the sum of products.
func (Portable[T]) Dot(x, y []T) T {
	y = y[:len(x)]
	var a, b, c, d T
	i := 0
	for ; i+4 <= len(x); i += 4 {
		a += x[i] * y[i]
		b += x[i+1] * y[i+1]
		c += x[i+2] * y[i+2]
		d += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		a += x[i] * y[i]
	}
	return (a + b) + (c + d)
}

// Add writes y += x.
func (Portable[T]) Add(y, x []T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += v
	}
}

// Scale writes y = factor·x.
func (Portable[T]) Scale(y, x []T, factor T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = factor * v
	}
}

// ReLU writes y = max(x, 0).
func (Portable[T]) ReLU(y, x []T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] = max(v, 0)
	}
}

// ReLUGradient writes dx = dy where x > 0, and 0 elsewhere; where x is NaN, dy.
func (Portable[T]) ReLUGradient(dx, x, dy []T) {
	dx, x = dx[:len(dy)], x[:len(dy)]
	for i, g := range dy {
		dx[i] = pick(x[i] <= 0, 0, g)
	}
}

// pick returns yes or no without a branch: the signs of activations are
// random, and half the branches would be predicted wrongly.
func pick[T Float](condition bool, yes, no T) T {
	index := 0
	if condition {
		index = 1
	}
	return [2]T{no, yes}[index]
}

// SquaredNorm returns Σxᵢ².
func (Portable[T]) SquaredNorm(x []T) float64 {
	var sums [4]float64 // one would wait for itself
	for ; len(x) >= 4; x = x[4:] {
		for i := range sums {
			sums[i] += float64(x[i]) * float64(x[i])
		}
	}
	for i, v := range x {
		sums[i] += float64(v) * float64(v)
	}
	return (sums[0] + sums[1]) + (sums[2] + sums[3])
}

// SquaredDistance returns Σ(xᵢ − yᵢ)².
func (Portable[T]) SquaredDistance(x, y []T) float64 {
	y = y[:len(x)]
	var sum float64
	for j, v := range x {
		difference := float64(v) - float64(y[j])
		sum += difference * difference
	}
	return sum
}

// AbsoluteDistance returns Σ|xᵢ − yᵢ|.
func (Portable[T]) AbsoluteDistance(x, y []T) float64 {
	y = y[:len(x)]
	var sum float64
	for j, v := range x {
		sum += math.Abs(float64(v) - float64(y[j]))
	}
	return sum
}

// WeightedDistance returns Σ weightᵢ·|xᵢ − yᵢ|.
func (Portable[T]) WeightedDistance(x, y, weight []T) float64 {
	y, weight = y[:len(x)], weight[:len(x)]
	var sum float64
	for j, v := range x {
		sum += float64(weight[j]) * math.Abs(float64(v)-float64(y[j]))
	}
	return sum
}

// AddDifference adds factor·(x − y) to dx.
func (Portable[T]) AddDifference(dx, x, y []T, factor T) {
	dx, y = dx[:len(x)], y[:len(x)]
	for j, v := range x {
		dx[j] += factor * (v - y[j])
	}
}
