package graph

import (
	"github.com/likeness-go/likeness/graph/internal/kernel"
	"gorgonia.org/tensor"
)

// MaxPool takes the largest element of each window of (batch, height, width,
// channels); rows and columns that fill no window are dropped.
type MaxPool struct {
	Size   int
	Stride int // 0 is Size
}

// Kind is "maxpool".
func (MaxPool) Kind() string { return "maxpool" }

// Apply adds the block to the graph.
func (p MaxPool) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName("maxpool", number), p)
	shape, output := b.pooled(x, p.Size, p.Stride)
	return b.Apply(blockName("maxpool", number), output,
		&maxPool[float32]{kernel.NewMaxPool[float32](shape)}, &maxPool[float64]{kernel.NewMaxPool[float64](shape)}, x)
}

// AveragePool takes the mean of each window of (batch, height, width,
// channels). When Trainable, each channel has a factor and a bias of its own,
// "averagepoolN.weight" and "averagepoolN.bias": the subsampling layer of
// LeCun et al. 1998, which Hadsell, Chopra & LeCun 2006 use.
type AveragePool struct {
	Size      int
	Stride    int // 0 is Size
	Trainable bool
}

// Kind is "averagepool".
func (AveragePool) Kind() string { return "averagepool" }

// Apply adds the block to the graph.
func (p AveragePool) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName("averagepool", number), p)
	shape, output := b.pooled(x, p.Size, p.Stride)
	name := blockName("averagepool", number)
	operands := []*Node{x}
	if p.Trainable {
		b.Scope(name, func() *Node {
			operands = append(operands,
				b.Weight("weight", Gain, Constant(1), shape.Channels),
				b.Weight("bias", Bias, Constant(0), shape.Channels))
			return nil
		})
	}
	return b.Apply(name, output, newAveragePool[float32](shape), newAveragePool[float64](shape), operands...)
}

// GlobalAveragePool takes the mean over each channel's map: (batch, height,
// width, channels) to (batch, channels).
type GlobalAveragePool struct{}

// Kind is "globalaveragepool".
func (GlobalAveragePool) Kind() string { return "globalaveragepool" }

// Apply adds the block to the graph.
func (GlobalAveragePool) Apply(b *Builder, number int, x *Node) *Node {
	batch, height, width, channels := b.image(x)
	return b.Apply(blockName("globalaveragepool", number), tensor.Shape{batch, channels},
		&globalAverage[float32]{height * width, channels}, &globalAverage[float64]{height * width, channels}, x)
}

func (b *Builder) pooled(x *Node, size, stride int) (kernel.PoolShape, tensor.Shape) {
	batch, height, width, channels := b.image(x)
	if stride == 0 {
		stride = size
	}
	shape := kernel.PoolShape{Batch: batch, Height: height, Width: width, Channels: channels, Size: size, Stride: stride}
	if err := shape.Validate(); err != nil {
		b.Fail("%v", err)
	}
	outHeight, outWidth := shape.Output()
	return shape, tensor.Shape{batch, outHeight, outWidth, channels}
}

type maxPool[T Float] struct{ kernel *kernel.MaxPool[T] }

func (p *maxPool[T]) Forward(y []T, x ...[]T)         { p.kernel.Forward(y, x[0]) }
func (p *maxPool[T]) Backward(dx, x [][]T, y, dy []T) { p.kernel.Backward(dx[0], dy) }

type averagePool[T Float] struct {
	kernel   *kernel.AveragePool[T]
	channels int
	means    []T // of the last forward pass, before the factor
	scaled   []T
}

func newAveragePool[T Float](s kernel.PoolShape) *averagePool[T] {
	return &averagePool[T]{kernel: kernel.NewAveragePool[T](s), channels: s.Channels}
}

func (p *averagePool[T]) Forward(y []T, x ...[]T) {
	p.kernel.Forward(y, x[0])
	if len(x) == 1 {
		return
	}
	p.means = append(p.means[:0], y...)
	for i := range y {
		channel := i % p.channels
		y[i] = y[i]*x[1][channel] + x[2][channel]
	}
}

func (p *averagePool[T]) Backward(dx, x [][]T, y, dy []T) {
	if len(x) > 1 {
		clear(dx[1])
		clear(dx[2])
		p.scaled = append(p.scaled[:0], dy...)
		for i, d := range dy {
			channel := i % p.channels
			if dx[1] != nil {
				dx[1][channel] += d * p.means[i]
			}
			if dx[2] != nil {
				dx[2][channel] += d
			}
			p.scaled[i] = d * x[1][channel]
		}
		dy = p.scaled
	}
	if dx[0] != nil {
		p.kernel.Backward(dx[0], dy)
	}
}

type globalAverage[T Float] struct{ pixels, channels int }

func (g *globalAverage[T]) Forward(y []T, x ...[]T) {
	clear(y)
	for i := range len(y) / g.channels {
		mean := y[i*g.channels:][:g.channels]
		for p := range g.pixels {
			for c, v := range x[0][(i*g.pixels+p)*g.channels:][:g.channels] {
				mean[c] += v
			}
		}
		for c := range mean {
			mean[c] /= T(g.pixels)
		}
	}
}

func (g *globalAverage[T]) Backward(dx, x [][]T, y, dy []T) {
	for i := range dx[0] {
		image, channel := i/(g.pixels*g.channels), i%g.channels
		dx[0][i] = dy[image*g.channels+channel] / T(g.pixels)
	}
}
