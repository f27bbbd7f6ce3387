package kernel

import "math"

// Normalize divides each row of x (rows, columns) by its Euclidean length:
// y = x/‖x‖. It also returns the lengths, norm (rows). A row of zeros stays
// zero. Rows are scaled by their largest element before they are squared, so
// neither large nor small elements overflow or vanish.
func Normalize[T Float](y, norm, x []T, rows, columns int) {
	checkLength("x", x, rows*columns)
	checkLength("y", y, rows*columns)
	checkLength("norm", norm, rows)
	Parallel(rows, func(i int) {
		norm[i] = normalizeRow(y[i*columns:(i+1)*columns], x[i*columns:(i+1)*columns])
	})
}

func normalizeRow[T Float](y, x []T) T {
	var largest T
	for _, v := range x {
		largest = max(largest, v, -v)
	}
	if largest == 0 {
		clear(y)
		return 0
	}
	var sum float64
	for i, v := range x {
		scaled := v / largest
		y[i] = scaled
		sum += float64(scaled) * float64(scaled)
	}
	length := T(math.Sqrt(sum))
	for i := range y {
		y[i] /= length
	}
	return largest * length
}

// NormalizeBackward writes the gradient of Normalize: with the row y of length
// one and g the row of dy, dx = (g − (g·y)·y)/norm, the part of g across y. It
// is zero for a row of zeros. y and norm tell all of x that is needed. dx may
// be dy.
func NormalizeBackward[T Float](dx, x, y, norm, dy []T, rows, columns int) {
	checkLength("dx", dx, rows*columns)
	checkLength("x", x, rows*columns)
	checkLength("y", y, rows*columns)
	checkLength("dy", dy, rows*columns)
	checkLength("norm", norm, rows)
	Parallel(rows, func(i int) {
		first, last := i*columns, (i+1)*columns
		dx, y, dy := dx[first:last], y[first:last], dy[first:last]
		if norm[i] == 0 {
			clear(dx)
			return
		}
		along := T(dot(dy, y))
		for j := range dx {
			dx[j] = (dy[j] - along*y[j]) / norm[i]
		}
	})
}

// dot returns Σ xᵢyᵢ, summed in float64.
func dot[T Float](x, y []T) float64 {
	y = y[:len(x)]
	var sum float64
	for i, v := range x {
		sum += float64(v) * float64(y[i])
	}
	return sum
}
