package kernel

import (
	"testing"

	"pgregory.net/rapid"
)

// product is MatMul, whose gradients are matrix products again.
func product(m, n, k int, transposeA, transposeB bool) subject {
	element := func(transposed bool, rows, columns int) func(i, j int) int {
		if transposed {
			return func(i, j int) int { return j*rows + i }
		}
		return func(i, j int) int { return i*columns + j }
	}
	return subject{
		arguments: []int{m * k, k * n}, result: m * n,
		single: productOperation[float32](m, n, k, transposeA, transposeB),
		double: productOperation[float64](m, n, k, transposeA, transposeB),
		naive:  naiveProduct(m, n, k, element(transposeA, m, k), element(transposeB, k, n)),
	}
}

func productOperation[T Float](m, n, k int, transposeA, transposeB bool) operation[T] {
	return operation[T]{
		forward: func(y []T, x ...[]T) {
			MatMul(y, x[0], x[1], m, n, k, transposeA, transposeB, false)
		},
		backward: func(dx, x [][]T, y, dy []T) {
			if dx[0] != nil && transposeA {
				MatMul(dx[0], x[1], dy, k, m, n, transposeB, true, false)
			} else if dx[0] != nil {
				MatMul(dx[0], dy, x[1], m, k, n, false, !transposeB, false)
			}
			if dx[1] != nil && transposeB {
				MatMul(dx[1], dy, x[0], n, k, m, true, transposeA, false)
			} else if dx[1] != nil {
				MatMul(dx[1], x[0], dy, k, n, m, !transposeA, false, false)
			}
		},
	}
}

func TestMatMul(t *testing.T) {
	size := rapid.OneOf(rapid.IntRange(1, 9), rapid.SampledFrom([]int{47, 48, 49, 128, 129}))
	checkDrawn(t, func(t *rapid.T) subject {
		return product(size.Draw(t, "m"), size.Draw(t, "n"), size.Draw(t, "k"),
			rapid.Bool().Draw(t, "transpose a"), rapid.Bool().Draw(t, "transpose b"))
	})
}

// An inner dimension that is taken in several parts.
func TestMatMulOfLongRows(t *testing.T) {
	check(t, product(5, 7, rowDepth+1, false, true), 1)
}

func TestMatMulAccumulates(t *testing.T) {
	c := []float64{1, 2}
	MatMul(c, []float64{3, 4}, []float64{5, 6, 7, 8}, 1, 2, 2, false, false, true)
	near(t, "c", c, []float64{1 + 15 + 28, 2 + 18 + 32}, 0)
}

func linear(batch, in, out int) subject {
	return subject{
		arguments: []int{batch * in, out * in, out}, result: batch * out,
		single: linearOperation[float32](batch, in, out),
		double: linearOperation[float64](batch, in, out),
		naive:  naiveLinear(batch, in, out),
	}
}

func linearOperation[T Float](batch, in, out int) operation[T] {
	l := NewLinear[T](batch, in, out, false)
	return operation[T]{
		forward:  func(y []T, x ...[]T) { l.Forward(y, x[0], x[1], x[2]) },
		backward: func(dx, x [][]T, y, dy []T) { l.Backward(dx[0], dx[1], dx[2], x[0], x[1], dy, false) },
	}
}

func TestLinear(t *testing.T) {
	size := rapid.IntRange(1, 20)
	checkDrawn(t, func(t *rapid.T) subject {
		return linear(size.Draw(t, "batch"), size.Draw(t, "in"), size.Draw(t, "out"))
	})
}

func TestLinearGradient(t *testing.T) { checkGradient(t, linear(3, 4, 5)) }

func TestLinearWithoutBias(t *testing.T) {
	y := []float64{9, 9}
	NewLinear[float64](1, 2, 2, false).Forward(y, []float64{1, 2}, []float64{3, 4, 5, 6}, nil)
	near(t, "y", y, []float64{11, 17}, 0)
}
