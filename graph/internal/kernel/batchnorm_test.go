package kernel

import (
	"testing"

	"pgregory.net/rapid"
)

func batchNorm(rows, channels int) subject {
	return subject{
		arguments: []int{rows * channels, channels, channels}, result: rows * channels,
		single: batchNormOperation[float32](rows, channels),
		double: batchNormOperation[float64](rows, channels),
		naive:  naiveBatchNorm(rows, channels, 1e-3),
		// Two rows that are almost equal are magnified by up to 1/√ε = 30.
		tolerance: 1e-4,
	}
}

func batchNormOperation[T Float](rows, channels int) operation[T] {
	n := NewBatchNorm[T](rows, channels, 1e-3)
	return operation[T]{
		forward:  func(y []T, x ...[]T) { n.Forward(y, x[0], x[1], x[2]) },
		backward: func(dx, x [][]T, y, dy []T) { n.Backward(dx[0], dx[1], dx[2], x[0], x[1], dy) },
	}
}

func TestBatchNorm(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		return batchNorm(rapid.IntRange(1, 40).Draw(t, "rows"), rapid.IntRange(1, 9).Draw(t, "channels"))
	})
}

func TestBatchNormInParts(t *testing.T) { check(t, batchNorm(3*rowsPerChunk(5)+1, 5), 1) }

func TestBatchNormGradient(t *testing.T) { checkGradient(t, batchNorm(7, 3)) }

func TestBatchNormStatistics(t *testing.T) {
	n := NewBatchNorm[float64](4, 2, 1e-5)
	x := []float64{1, 10, 2, 10, 3, 10, 6, 10}
	n.Forward(make([]float64, 8), x, []float64{1, 1}, []float64{0, 0})
	near(t, "mean", n.Mean, []float64{3, 10}, 0)
	near(t, "variance", n.Variance, []float64{(4 + 1 + 0 + 9) / 4., 0}, 0)
}

// A mean that is large compared with the standard deviation does not cost precision: the
// variance of 10000, 10001, … is that of 0, 1, ….
func TestBatchNormOfLargeMean(t *testing.T) {
	n, x := NewBatchNorm[float32](101, 1, 1e-5), make([]float32, 101)
	for i := range x {
		x[i] = float32(10000 + i)
	}
	n.Forward(make([]float32, 101), x, []float32{1}, []float32{0})
	near(t, "variance", n.Variance, []float32{(101*101 - 1) / 12.}, 1e-6)
}

// givenNorm is Apply with given statistics.
func givenNorm(rows, channels int) subject {
	mean, variance := givenStatistics[float64](channels)
	return subject{
		arguments: []int{rows * channels, channels, channels}, result: rows * channels,
		single: givenNormOperation[float32](rows, channels),
		double: givenNormOperation[float64](rows, channels),
		naive:  naiveGivenNorm(mean, variance, 1e-3),
	}
}

func givenNormOperation[T Float](rows, channels int) operation[T] {
	n := NewBatchNorm[T](rows, channels, 1e-3)
	mean, variance := givenStatistics[T](channels)
	return operation[T]{
		forward: func(y []T, x ...[]T) { n.Apply(y, x[0], x[1], x[2], mean, variance) },
		backward: func(dx, x [][]T, y, dy []T) {
			n.ApplyBackward(dx[0], dx[1], dx[2], x[0], x[1], mean, variance, dy)
		},
	}
}

// givenStatistics returns means and variances that are exact in float32.
func givenStatistics[T Float](channels int) (mean, variance []T) {
	for c := range channels {
		mean, variance = append(mean, T(c)/4-1), append(variance, T(c+1)/2)
	}
	return mean, variance
}

func TestBatchNormApply(t *testing.T) {
	checkDrawn(t, func(t *rapid.T) subject {
		return givenNorm(rapid.IntRange(1, 40).Draw(t, "rows"), rapid.IntRange(1, 9).Draw(t, "channels"))
	})
}

func TestBatchNormApplyKeepsStatistics(t *testing.T) {
	n := NewBatchNorm[float64](2, 1, 1e-5)
	y, one := make([]float64, 2), []float64{1}
	n.Forward(y, []float64{1, 3}, one, one)
	n.Apply(y, []float64{1, 3}, one, one, []float64{5}, []float64{7})
	near(t, "mean and variance", append(n.Mean, n.Variance...), []float64{2, 1}, 0)
}
