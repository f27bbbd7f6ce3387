package kernel

import (
	"fmt"
	"slices"
	"testing"

	"github.com/likeness-go/likeness/internal/random"
)

// numbers are n normal numbers, the same for one name.
func numbers(n int, name string) []float32 {
	r, all := random.New(1, name), make([]float32, n)
	for i := range all {
		all[i] = float32(r.NormFloat64())
	}
	return all
}

// Blocks that have their packed weights in common compute what each computes alone, bit for bit, in several steps with other
// weights: with Winograd's algorithm and without, with a gradient of the input that is a convolution or scattered products, with
// a convolution that is computed again, and with those that pack by themselves.
func TestSharedWeights(t *testing.T) {
	sharedWeights(t, map[string]BlockShape{
		"winograd":  {Conv: ConvShape{Batch: 4, Height: 12, Width: 12, Channels: 32, Filters: 48, KernelHeight: 3, KernelWidth: 3, Stride: 1, Padding: Around(1), Part: true}, Norm: BatchStatistics, Epsilon: 1e-5, Activation: ReLU},
		"padded":    {Conv: ConvShape{Batch: 8, Height: 14, Width: 14, Channels: 32, Filters: 32, KernelHeight: 5, KernelWidth: 5, Stride: 1, Padding: Around(2)}, Activation: ReLU, PoolSize: 2, PoolStride: 2},
		"scattered": {Conv: ConvShape{Batch: 2, Height: 9, Width: 9, Channels: 20, Filters: 24, KernelHeight: 3, KernelWidth: 3, Stride: 2, Padding: Around(1)}, Norm: BatchStatistics, Epsilon: 1e-5},
		"again":     {Conv: ConvShape{Batch: 2, Height: 9, Width: 9, Channels: 3, Filters: 24, KernelHeight: 3, KernelWidth: 3, Stride: 1, Padding: Around(1)}, Norm: BatchStatistics, Epsilon: 1e-5, Activation: SiLU},
		"depthwise": {Conv: ConvShape{Batch: 2, Height: 9, Width: 9, Channels: 16, Filters: 16, KernelHeight: 3, KernelWidth: 3, Stride: 1, Padding: Around(1), Groups: 16}},
		"groups":    {Conv: ConvShape{Batch: 2, Height: 9, Width: 9, Channels: 16, Filters: 16, KernelHeight: 3, KernelWidth: 3, Stride: 1, Padding: Around(1), Groups: 2}},
	})
	eachArithmetic(t, func(t *testing.T) {
		sharedWeights(t, map[string]BlockShape{
			"flipped":   {Conv: ConvShape{Batch: 2, Height: 9, Width: 9, Channels: 21, Filters: 35, KernelHeight: 3, KernelWidth: 3, Stride: 1, Padding: Around(1), BFloat16: true}, Norm: BatchStatistics, Epsilon: 1e-5},
			"scattered": {Conv: ConvShape{Batch: 2, Height: 9, Width: 9, Channels: 20, Filters: 24, KernelHeight: 3, KernelWidth: 3, Stride: 2, Padding: Around(1), BFloat16: true}, Activation: ReLU},
		})
	})
}

// sharedWeights compares two blocks of each shape with one that has weights of its own.
func sharedWeights(t *testing.T, shapes map[string]BlockShape) {
	t.Helper()
	for name, s := range shapes {
		var shared SharedWeights[float32]
		blocks := []*Block[float32]{NewBlock[float32](s), NewBlock[float32](s)}
		for _, k := range blocks {
			k.Share(&shared)
		}
		alone := NewBlock[float32](s)
		f := s.Conv.Filters
		for step := range 3 {
			shared.Reset()
			weight := numbers(s.Conv.weights(), fmt.Sprint(name, "weight", step))
			w := BlockWeights[float32]{Weight: weight, Bias: numbers(f, "bias"), Gain: numbers(f, "gain"), Shift: numbers(f, "shift")}
			if s.Norm == NoNorm {
				w.Gain, w.Shift = nil, nil
			}
			pass := func(k *Block[float32], x, dy []float32) func() [][]float32 {
				y := make([]float32, s.pool().Batch*s.pool().output())
				k.Forward(y, x, w)
				return func() [][]float32 {
					dx := make([]float32, len(x))
					dw := BlockWeights[float32]{Weight: make([]float32, len(weight)), Bias: make([]float32, f)}
					if s.Norm != NoNorm {
						dw.Gain, dw.Shift = make([]float32, f), make([]float32, f)
					}
					k.Backward(dx, dw, x, w, y, dy)
					return [][]float32{y, dx, dw.Weight, dw.Bias, dw.Gain, dw.Shift}
				}
			}
			var backward []func() [][]float32
			var want [][][]float32
			for i, k := range blocks {
				x, dy := numbers(s.Conv.inputs(), fmt.Sprint(name, "x", i, step)), numbers(s.pool().Batch*s.pool().output(), fmt.Sprint(name, "dy", i, step))
				backward = append(backward, pass(k, x, dy))
				want = append(want, pass(alone, x, dy)())
			}
			for i := range blocks {
				for j, found := range backward[i]() {
					if !slices.Equal(found, want[i][j]) {
						t.Errorf("%s, step %d: block %d computes another array %d than alone", name, step, i, j)
					}
				}
			}
		}
		if own := blocks[0].conv; own.plain() && own.winograd == nil && &own.forward.data[0] != &blocks[1].conv.forward.data[0] {
			t.Errorf("%s: the blocks have packed weights of their own", name)
		}
	}
}
