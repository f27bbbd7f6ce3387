package kernel

import (
	"fmt"
	"testing"
)

// The gradients of weights and bias are those of a block whose pool's windows
// are scattered, but for rounding.
func TestBlockPeaks(t *testing.T) {
	for _, s := range []BlockShape{
		{Conv: ConvShape{9, 28, 28, 1, 64, 3, 3, 1, 1}, Activation: ReLU},
		{Conv: ConvShape{2, 21, 23, 1, 40, 10, 10, 1, 0}, Activation: ReLU},
		{Conv: ConvShape{3, 9, 12, 3, 17, 4, 4, 1, 2}, Activation: Tanh},
		{Conv: ConvShape{1, 4, 5, 2, 5, 1, 2, 1, 0}},
	} {
		t.Run(fmt.Sprintf("%+v", s.Conv), func(t *testing.T) {
			s.PoolSize, s.PoolStride = 2, 2
			k := NewBlock[float32](s)
			if _, ok := k.peaks(); !ok {
				t.Skip("these instructions have no such loop")
			}
			pool := s.pool()
			x := halves(s.Conv.inputs(), 1)
			w := BlockWeights[float32]{Weight: halves(s.Conv.weights(), 2), Bias: halves(s.Conv.Filters, 3)}
			y, dy := make([]float32, pool.Batch*pool.output()), halves(pool.Batch*pool.output(), 4)
			for range 2 {
				want, got := composedGradients(s, x, w, dy), BlockWeights[float32]{Weight: make([]float32, len(w.Weight)), Bias: make([]float32, len(w.Bias))}
				k.Forward(y, x, w)
				k.Backward(nil, got, x, w, y, dy)
				near(t, "the gradient of the weights", got.Weight, want.Weight, 1e-5)
				near(t, "the gradient of the bias", got.Bias, want.Bias, 1e-5)
			}
		})
	}
}

// composedGradients are those that the kernels of a block give one by one.
func composedGradients(s BlockShape, x []float32, w BlockWeights[float32], dy []float32) BlockWeights[float32] {
	f, y := composed[float32](s), make([]float32, len(dy))
	operands := [][]float32{x, w.Weight, w.Bias}
	gradients := [][]float32{make([]float32, len(x)), make([]float32, len(w.Weight)), make([]float32, len(w.Bias))}
	f.forward(y, operands...)
	f.backward(gradients, operands, y, dy)
	return BlockWeights[float32]{Weight: gradients[1], Bias: gradients[2]}
}

// halves are small multiples of a half that repeat late.
func halves(n, seed int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32((i*7919+seed*104729)%17-8) / 2
	}
	return x
}
