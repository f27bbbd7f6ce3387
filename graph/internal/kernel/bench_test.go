package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/likeness-go/likeness/internal/parallel"
)

// benchmarkLayers are the layers of the papers' networks that take most of the time.
var benchmarkLayers = []ConvShape{
	convShape(64, 28, 28, 1, 64, 3, 3, 1, 1),
	convShape(64, 14, 14, 64, 64, 3, 3, 1, 1),
	convShape(64, 7, 7, 64, 64, 3, 3, 1, 1),
	convShape(2, 105, 105, 1, 64, 10, 10, 1, 0),
	convShape(2, 48, 48, 64, 128, 7, 7, 1, 0),
	convShape(64, 48, 48, 64, 128, 7, 7, 1, 0),
	convShape(4, 21, 21, 128, 128, 4, 4, 1, 0),
	convShape(8, 9, 9, 128, 256, 4, 4, 1, 0),
}

// depthwiseLayers are depthwise convolutions of MobileNetV2, EfficientNet and ConvNeXt.
var depthwiseLayers = []ConvShape{
	withGroups(96, convShape(16, 112, 112, 96, 96, 3, 3, 2, 1)),
	withGroups(144, convShape(16, 56, 56, 144, 144, 3, 3, 1, 1)),
	withGroups(384, convShape(16, 14, 14, 384, 384, 3, 3, 1, 1)),
	withGroups(672, convShape(16, 14, 14, 672, 672, 5, 5, 1, 2)),
	withGroups(960, convShape(16, 7, 7, 960, 960, 3, 3, 1, 1)),
	withGroups(192, convShape(16, 28, 28, 192, 192, 7, 7, 1, 3)),
	withGroups(768, convShape(16, 7, 7, 768, 768, 7, 7, 1, 3)),
}

// BenchmarkConv reports the useful arithmetic of a direct convolution: two
// operations for each product.
func BenchmarkConv(b *testing.B) {
	defer Retain()()
	defer parallel.SetThreads(parallel.Threads())
	for _, s := range append(benchmarkLayers, depthwiseLayers...) {
		c := NewConv[float32](s)
		x, dx := written(s.inputs()), written(s.inputs())
		y, weight, dweight := written(s.outputs()), written(s.weights()), written(s.weights())
		for _, threads := range []int{1, 2} {
			for _, pass := range []struct {
				name string
				run  func()
			}{
				{"forward", func() { c.Forward(y, x, weight, nil) }},
				{"dX", func() { c.Backward(dx, nil, nil, x, weight, y) }},
				{"dW", func() { c.Backward(nil, dweight, nil, x, weight, y) }},
				{"both", func() { c.Backward(dx, dweight, nil, x, weight, y) }},
			} {
				name := fmt.Sprintf("%d×%d,%d→%d,%d×%d/images=%d/%s/threads=%d",
					s.Height, s.Width, s.Channels, s.Filters, s.KernelHeight, s.KernelWidth, s.Batch, pass.name, threads)
				b.Run(name, func(b *testing.B) {
					parallel.SetThreads(threads)
					for b.Loop() {
						pass.run()
					}
					reportOperations(b, 2*s.pixels()*s.weights())
				})
			}
		}
	}
}

// BenchmarkDepthwiseBlock is the forward pass of depthwise blocks in evaluation.
func BenchmarkDepthwiseBlock(b *testing.B) {
	defer Retain()()
	for _, c := range depthwiseLayers {
		k := NewBlock[float32](BlockShape{Conv: c, Norm: GivenStatistics, Epsilon: 1e-5, Activation: ReLU, Evaluation: true})
		y, x := written(c.outputs()), written(c.inputs())
		each := written(c.Filters)
		variance := make([]float32, c.Filters)
		for i := range variance {
			variance[i] = 1
		}
		w := BlockWeights[float32]{Weight: written(c.weights()), Gain: each, Shift: each, Mean: each, Variance: variance}
		b.Run(fmt.Sprintf("%d×%d,%d,%d×%d", c.Height, c.Width, c.Channels, c.KernelHeight, c.KernelWidth), func(b *testing.B) {
			for b.Loop() {
				k.Forward(y, x, w)
			}
			reportOperations(b, 2*c.pixels()*c.weights())
		})
	}
}

// BenchmarkBlock is a training step's work on the first two blocks of Conv4.
func BenchmarkBlock(b *testing.B) {
	defer Retain()()
	for _, c := range benchmarkLayers[:2] {
		s := BlockShape{Conv: c, Norm: BatchStatistics, Epsilon: 1e-5, Activation: ReLU, PoolSize: 2, PoolStride: 2}
		f, pool := blockOperation[float32](s), s.pool()
		x := [][]float32{make([]float32, c.inputs()), make([]float32, c.weights()),
			make([]float32, c.Filters), make([]float32, c.Filters), make([]float32, c.Filters)}
		y := make([]float32, pool.Batch*pool.output())
		b.Run(fmt.Sprintf("%d×%d,%d→%d", c.Height, c.Width, c.Channels, c.Filters), func(b *testing.B) {
			for b.Loop() {
				f.forward(y, x...)
				f.backward(x, x, y, y)
			}
			reportOperations(b, 3*2*c.pixels()*c.weights())
		})
	}
}

func BenchmarkMatMul(b *testing.B) {
	defer Retain()()
	const n = 512
	c, a := make([]float32, n*n), written(n*n)
	for _, transpose := range []struct{ a, b bool }{{false, false}, {false, true}, {true, false}} {
		b.Run(fmt.Sprintf("transposed=%v", transpose), func(b *testing.B) {
			for b.Loop() {
				MatMul(c, a, a, n, n, n, transpose.a, transpose.b, false)
			}
			reportOperations(b, 2*n*n*n)
		})
	}
}

func BenchmarkAllDistances(b *testing.B) {
	defer Retain()()
	const rows, columns = 128, 1024
	x, d, dx := make([]float32, rows*columns), make([]float32, rows*rows), make([]float32, rows*columns)
	b.Run("forward", func(b *testing.B) {
		for b.Loop() {
			AllDistances(Euclidean, d, x, nil, rows, columns)
		}
	})
	b.Run("backward", func(b *testing.B) {
		for b.Loop() {
			AllDistancesBackward(Euclidean, dx, nil, x, nil, d, d, rows, columns)
		}
	})
	random := rand.New(rand.NewPCG(1, 0)) // signs that follow a pattern would be predicted
	for i := range x {
		x[i] = random.Float32()
	}
	weight, slope := written(columns), written(rows*rows)
	b.Run("backward, weighted L1", func(b *testing.B) {
		for b.Loop() {
			AllDistancesBackward(Manhattan, dx, nil, x, weight, d, slope, rows, columns)
		}
	})
}

// written returns numbers of both signs. Memory that was never written to is one shared
// page, which is read faster than other memory.
func written(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i*7919%2001-1000) / 1000
	}
	return x
}

func reportOperations(b *testing.B, operations int) {
	b.ReportMetric(float64(operations)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// BenchmarkLinear is the fully connected layer of Koch's network for a batch.
func BenchmarkLinear(b *testing.B) {
	defer Retain()()
	const batch, in, out = 64, 9216, 4096
	l := NewLinear[float32](batch, in, out, false)
	x, dx, y := written(batch*in), written(batch*in), written(batch*out)
	weight, dweight := written(in*out), written(in*out)
	for _, pass := range []struct {
		name string
		run  func()
	}{
		{"forward", func() { l.Forward(y, x, weight, nil) }},
		{"dX", func() { l.Backward(dx, nil, nil, x, weight, y, false) }},
		{"dW", func() { l.Backward(nil, dweight, nil, x, weight, y, false) }},
	} {
		b.Run(pass.name, func(b *testing.B) {
			for b.Loop() {
				pass.run()
			}
			reportOperations(b, 2*batch*in*out)
		})
	}
}

// BenchmarkLinearOne is the fully connected layer of Koch's network for one
// image, which takes as long as to read its weights.
func BenchmarkLinearOne(b *testing.B) {
	defer Retain()()
	defer parallel.SetThreads(parallel.Threads())
	const in, out = 9216, 4096
	l := NewLinear[float32](1, in, out, false)
	y, x, weight := make([]float32, out), make([]float32, in), written(in*out)
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			parallel.SetThreads(threads)
			b.SetBytes(4 * in * out)
			for b.Loop() {
				l.Forward(y, x, weight, nil)
			}
		})
	}
}

// BenchmarkInvertedTraining is the inverted residuals of MobileNet-V2, forward and backward.
func BenchmarkInvertedTraining(b *testing.B) {
	for _, c := range []struct{ size, in, wide, out, stride int }{
		{112, 0, 32, 16, 1}, {112, 16, 96, 24, 2}, {56, 24, 144, 24, 1}, {28, 32, 192, 32, 1}, {14, 64, 384, 64, 1}, {14, 96, 576, 96, 1}, {7, 160, 960, 160, 1}, {7, 160, 960, 320, 1},
	} {
		s := trainingShapeOf(c.in, withGroups(c.wide, convShape(16, c.size, c.size, c.wide, c.wide, 3, 3, c.stride, 1)), c.out, ReLU6, c.in == c.out)
		subject := trainingSubject(s)
		x, dy := subject.draw(1)
		singleX, singleDy := convertAll[float32](x), convert[float32](dy)
		dx := make([][]float32, len(x))
		for i := range x {
			dx[i] = make([]float32, len(x[i]))
		}
		y := make([]float32, len(dy))
		b.Run(fmt.Sprint(c.in, "→", c.wide, "→", c.out, " on ", c.size, "², stride ", c.stride), func(b *testing.B) {
			defer Retain()()
			var forward time.Duration
			for b.Loop() {
				start := time.Now()
				subject.single.forward(y, singleX...)
				forward += time.Since(start)
				subject.single.backward(dx, singleX, y, singleDy)
			}
			b.ReportMetric(float64(forward.Microseconds())/float64(b.N)/1e3, "forward-ms/op")
		})
	}
}
