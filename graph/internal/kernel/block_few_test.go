package kernel

import (
	"fmt"
	"testing"
)

// The layers of networks, for one image and a few, beside the kernels that the
// other tests check.
func TestFewImages(t *testing.T) {
	for _, s := range []BlockShape{
		{Conv: ConvShape{1, 20, 20, 1, 64, 3, 3, 1, 1}, Activation: ReLU, PoolSize: 2, PoolStride: 2},
		{Conv: ConvShape{1, 14, 14, 64, 64, 3, 3, 1, 1}, Norm: GivenStatistics, Epsilon: 1e-3, Activation: ReLU, PoolSize: 2, PoolStride: 2},
		{Conv: ConvShape{3, 7, 7, 64, 48, 3, 3, 1, 1}, Activation: PReLU, PoolSize: 2, PoolStride: 2},
		{Conv: ConvShape{2, 3, 3, 64, 40, 3, 3, 1, 1}, Activation: ReLU, PoolSize: 2, PoolStride: 1},
		{Conv: ConvShape{1, 21, 21, 32, 64, 4, 4, 1, 0}, Activation: Sigmoid, PoolSize: 2, PoolStride: 2},
		{Conv: ConvShape{1, 20, 18, 16, 32, 7, 7, 1, 0}, Activation: ReLU},
		{Conv: ConvShape{4, 9, 9, 5, 3, 4, 3, 2, 2}, Norm: GivenStatistics, Epsilon: 1e-3, Activation: Tanh},
	} {
		t.Run(fmt.Sprintf("%+v", s.Conv), func(t *testing.T) {
			x, dy := block(s, false).draw(1)
			single := make([][]float32, len(x))
			for i := range x {
				for _, v := range x[i] {
					single[i] = append(single[i], float32(v))
				}
			}
			want, got := make([]float64, len(dy)), make([]float32, len(dy))
			composed[float64](s).forward(want, x...)
			s.Evaluation = true
			k := NewBlock[float32](s)
			if k.parts == nil {
				t.Fatal("the block is not one of few images")
			}
			for range 2 { // the second time with memory that was used
				k.Forward(got, single[0], blockWeights(s, single))
				wide := make([]float64, len(got))
				for i, v := range got {
					wide[i] = float64(v)
				}
				near(t, "the result", wide, want, 1e-4)
			}
		})
	}
}
