package kernel

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func normalize(rows, columns int) subject {
	return subject{
		arguments: []int{rows * columns}, result: rows * columns,
		single: normalizeOperation[float32](rows, columns),
		double: normalizeOperation[float64](rows, columns),
		naive:  naiveNormalize(rows, columns),
		// A single short row has a steep gradient.
		prepare:   func(x [][]float64) { awayFromZero(x[0]) },
		tolerance: 1e-4,
	}
}

func normalizeOperation[T Float](rows, columns int) operation[T] {
	norm := make([]T, rows)
	return operation[T]{
		forward: func(y []T, x ...[]T) { Normalize(y, norm, x[0], rows, columns) },
		backward: func(dx, x [][]T, y, dy []T) {
			if dx[0] != nil {
				NormalizeBackward(dx[0], x[0], y, norm, dy, rows, columns)
			}
		},
	}
}

func TestNormalize(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		return normalize(rapid.IntRange(1, 5).Draw(t, "rows"), rapid.IntRange(1, 30).Draw(t, "columns"))
	})
}

func TestNormalizeGradient(t *testing.T) { checkGradient(t, normalize(3, 5)) }

// The squares of these numbers are beyond their precision.
func TestNormalizeOfExtremes(t *testing.T) {
	for _, scale := range []float32{1e-38, 1e-30, 1e30} {
		checkTriangle(t, scale)
	}
	checkTriangle(t, 1e200)
	checkTriangle(t, 1e-200)
}

// checkTriangle normalises the sides 3 and 4 of a right-angled triangle.
func checkTriangle[T Float](t *testing.T, scale T) {
	y, norm, dx := make([]T, 2), make([]T, 1), make([]T, 2)
	x := []T{3 * scale, -4 * scale}
	Normalize(y, norm, x, 1, 2)
	NormalizeBackward(dx, x, y, norm, []T{scale, 0}, 1, 2)
	near(t, "y", y, []T{0.6, -0.8}, 1e-6)
	near(t, "norm, of the scale", []T{norm[0] / scale}, []T{5}, 1e-6)
	near(t, "dx", dx, []T{(1 - 0.6*0.6) / 5, 0.6 * 0.8 / 5}, 1e-6)
}

func TestNormalizeOfZero(t *testing.T) {
	y, norm, dx := []float64{1, 1}, []float64{1}, []float64{1, 1}
	x := []float64{0, math.Copysign(0, -1)}
	Normalize(y, norm, x, 1, 2)
	NormalizeBackward(dx, x, y, norm, []float64{1, 2}, 1, 2)
	near(t, "y, norm and dx", append(append(y, norm...), dx...), make([]float64, 5), 0)
}

func TestNormalizeShowsNaN(t *testing.T) {
	y, norm := make([]float64, 2), make([]float64, 1)
	Normalize(y, norm, []float64{0, math.NaN()}, 1, 2)
	if y[0] == y[0] || y[1] == y[1] || norm[0] == norm[0] {
		t.Errorf("got %v of length %v, want NaN", y, norm)
	}
}
