package speed

import (
	"fmt"
	"time"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/internal/kernel"
)

// Layer is a convolution to measure.
type Layer struct {
	Name   string
	shape  kernel.ConvShape
	pooled bool // with a 2×2 max pool
}

// Layers returns the convolutions that take most of the time in published networks: the
// first three of Conv4, and those of Koch's network.
func Layers() []Layer {
	return named(true, []kernel.ConvShape{
		{Batch: 128, Height: 28, Width: 28, Channels: 1, Filters: 64, KernelHeight: 3, KernelWidth: 3, Stride: 1, Padding: kernel.Around(1)},
		{Batch: 128, Height: 14, Width: 14, Channels: 64, Filters: 64, KernelHeight: 3, KernelWidth: 3, Stride: 1, Padding: kernel.Around(1)},
		{Batch: 128, Height: 7, Width: 7, Channels: 64, Filters: 64, KernelHeight: 3, KernelWidth: 3, Stride: 1, Padding: kernel.Around(1)},
		{Batch: 16, Height: 105, Width: 105, Channels: 1, Filters: 64, KernelHeight: 10, KernelWidth: 10, Stride: 1},
		{Batch: 16, Height: 48, Width: 48, Channels: 64, Filters: 128, KernelHeight: 7, KernelWidth: 7, Stride: 1},
		{Batch: 16, Height: 21, Width: 21, Channels: 128, Filters: 128, KernelHeight: 4, KernelWidth: 4, Stride: 1},
		{Batch: 16, Height: 9, Width: 9, Channels: 128, Filters: 256, KernelHeight: 4, KernelWidth: 4, Stride: 1},
	})
}

// RoundedLayers returns convolutions of ResNet-50 and EfficientNet whose factors the precision bfloat16 rounds: the
// first layer, 1×1 convolutions and strided ones.
func RoundedLayers() []Layer {
	return named(false, []kernel.ConvShape{
		{Batch: 16, Height: 224, Width: 224, Channels: 3, Filters: 64, KernelHeight: 7, KernelWidth: 7, Stride: 2, Padding: kernel.Around(3)},
		{Batch: 16, Height: 56, Width: 56, Channels: 64, Filters: 256, KernelHeight: 1, KernelWidth: 1, Stride: 1},
		{Batch: 16, Height: 56, Width: 56, Channels: 128, Filters: 128, KernelHeight: 3, KernelWidth: 3, Stride: 2, Padding: kernel.Around(1)},
		{Batch: 16, Height: 28, Width: 28, Channels: 40, Filters: 240, KernelHeight: 1, KernelWidth: 1, Stride: 1},
		{Batch: 16, Height: 14, Width: 14, Channels: 1024, Filters: 256, KernelHeight: 1, KernelWidth: 1, Stride: 1},
		{Batch: 16, Height: 7, Width: 7, Channels: 512, Filters: 2048, KernelHeight: 1, KernelWidth: 1, Stride: 1},
	})
}

func named(pooled bool, shapes []kernel.ConvShape) []Layer {
	var layers []Layer
	for _, s := range shapes {
		name := fmt.Sprintf("%d×%d, %d→%d, %d×%d", s.Height, s.Width, s.Channels, s.Filters, s.KernelHeight, s.KernelWidth)
		if s.Stride > 1 {
			name += fmt.Sprintf(", stride %d", s.Stride)
		}
		layers = append(layers, Layer{name, s, pooled})
	}
	return layers
}

// In returns the layer with a precision.
func (l Layer) In(precision graph.Precision) Layer {
	l.shape.BFloat16 = precision == graph.BFloat16
	return l
}

// Measurement is the time that a pass of a layer took.
type Measurement struct {
	Pass       string        // "forward", "dX" or "dW"
	Operations int           // of a direct convolution: two for each product
	Time       time.Duration // the shortest of several
}

// Rate returns the number of operations per second.
func (m Measurement) Rate() float64 { return float64(m.Operations) / m.Time.Seconds() }

// Measure measures the passes of a layer as part of a block with ReLU and, in those of Layers, a 2×2 max
// pool, as networks run it, so that only a quarter of the convolution's result is written to
// memory. Each pass is repeated for at least the given time.
func (l Layer) Measure(atLeast time.Duration) []Measurement {
	defer kernel.Retain()() // as programs of package graph do
	s := l.shape
	block := kernel.BlockShape{Conv: s, Activation: kernel.ReLU}
	if l.pooled {
		block.PoolSize, block.PoolStride = 2, 2
	}
	k := kernel.NewBlock[float32](block)
	height, width := s.Output()
	outHeight, outWidth := block.Output()
	weight := kernel.BlockWeights[float32]{
		Weight: ramp(s.Filters * s.Channels * s.KernelHeight * s.KernelWidth), Bias: make([]float32, s.Filters),
	}
	x, y := ramp(s.Batch*s.Height*s.Width*s.Channels), make([]float32, s.Batch*outHeight*outWidth*s.Filters)
	dx, dy := make([]float32, len(x)), ramp(len(y))
	dweight := kernel.BlockWeights[float32]{Weight: make([]float32, len(weight.Weight))}
	forward := func() { k.Forward(y, x, weight) }
	operations := 2 * s.Batch * height * width * len(weight.Weight)
	all := []Measurement{{"forward", operations, shortest(atLeast, func() {}, forward)}}
	if s.Channels > 3 { // the gradient of an image is not computed in training
		all = append(all, Measurement{"dX", operations, shortest(atLeast, forward, func() {
			k.Backward(dx, kernel.BlockWeights[float32]{}, x, weight, y, dy)
		})})
	}
	return append(all, Measurement{"dW", operations, shortest(atLeast, forward, func() {
		k.Backward(nil, dweight, x, weight, y, dy)
	})})
}

// shortest returns the shortest time of work; prepare runs before each, and is not measured.
func shortest(atLeast time.Duration, prepare, work func()) time.Duration {
	prepare()
	work()
	best := time.Duration(1<<63 - 1)
	for start := time.Now(); time.Since(start) < atLeast; {
		prepare()
		begin := time.Now()
		work()
		best = min(best, time.Since(begin))
	}
	return best
}

// ramp returns values of both signs, none of them tiny.
func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i*7919%2001-1000) / 1000
	}
	return x
}
