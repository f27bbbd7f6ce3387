package graph

import (
	"cmp"
	"fmt"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"gorgonia.org/tensor"
)

// Conv is a convolution followed by bias, batch norm, activation and max pool, which
// are optional, as one operation.
//
// It maps (batch, height, width, channels) to (batch, height', width',
// filters). Its weights are "convN.weight" (filters, channels/groups, kernel, kernel)
// and "convN.bias" (filters), with batch norm "normN.weight", "normN.bias",
// "normN.running_mean" and "normN.running_var", with PReLU "convN_prelu.weight".
type Conv struct {
	Filters    int         // output channels
	Kernel     int         // height and width of the window
	Stride     int         // 0 for 1
	Padding    int         // rows and columns of zeros on each side; 0 for a valid convolution
	NoBias     bool        // omit the bias, which batch norm makes redundant
	BatchNorm  bool        // normalize each channel before the activation
	Activation string      // a function of Activate, or "" for none
	Pool       int         // size and stride of a max pool; 0 for none
	Weight     Initializer // default: He
	Bias       Initializer // default: zero

	// Groups divides input channels and filters into groups, each convolved by itself
	// (torch.nn.Conv2d's groups); 0 for 1. Both must be divisible by it. As many groups as
	// channels make a depthwise convolution, which has inner loops of its own; other groups are
	// convolved one after the other, and there are at most 1024.
	Groups int `json:",omitempty"`
	// SamePadding pads as TensorFlow's SAME: the result has ⌈size/stride⌉ rows and
	// columns, and of an odd number of zeros the bottom and the right get one more. It
	// excludes Padding.
	SamePadding bool `json:",omitempty"`
	// Epsilon is added to the variance of the batch norm; 0 for 1e-5. Momentum is the
	// weight of the batch in its running statistics, new = (1 − momentum)·old +
	// momentum·batch; 0 for 0.1.
	Epsilon  float64 `json:",omitempty"`
	Momentum float64 `json:",omitempty"`
}

// Kind is "conv".
func (Conv) Kind() string { return "conv" }

// Apply adds the block to the graph.
func (c Conv) Apply(b *Builder, number int, x *Node) *Node {
	return b.applyLayer(c.layer(b, number, x.Shape(), MaxPool{}), x)
}

// convLayer is a convolution block without its input.
type convLayer struct {
	name     string
	weights  []*Node
	output   tensor.Shape
	unpooled tensor.Shape // that of the result before a pool
	f32      *convFunction[float32]
	f64      *convFunction[float64]
}

// applyLayer adds a convolution block to the graph.
func (b *Builder) applyLayer(l convLayer, x *Node) *Node {
	return b.Apply(l.name, l.output, l.f32, l.f64, append([]*Node{x}, l.weights...)...)
}

// layer returns the block for an input of a shape, with its weights. With a size, the pool becomes a part of
// the block, which then has none of its own, unless the pool does not suit its result.
func (c Conv) layer(b *Builder, number int, input tensor.Shape, pool MaxPool) convLayer {
	b.Describe(blockName("conv", number), c)
	batch, height, width, channels := b.imageShape(input)
	padding := kernel.Around(c.Padding)
	if c.SamePadding {
		if c.Padding != 0 {
			b.Fail("found padding %d together with same padding, expected only one of them", c.Padding)
		}
		padding = kernel.SamePadding(height, width, c.Kernel, max(c.Stride, 1))
	}
	shape := kernel.BlockShape{
		Conv: kernel.ConvShape{
			Batch: batch, Height: height, Width: width, Channels: channels,
			Filters: c.Filters, KernelHeight: c.Kernel, KernelWidth: c.Kernel,
			Stride: max(c.Stride, 1), Padding: padding, Groups: c.Groups, Part: b.part, BFloat16: b.roundsFactors(),
		},
		Activation: b.activation(c.Activation),
		PoolSize:   c.Pool, PoolStride: c.Pool,
		Evaluation: b.mode == Evaluation,
	}
	if pool.Size != 0 {
		shape.PoolSize, shape.PoolStride, shape.PoolPadding = pool.Size, cmp.Or(pool.Stride, pool.Size), pool.Padding
	}
	var norm *normWeights
	if c.BatchNorm {
		norm = b.norm(blockName("norm", number), c.Filters, c.Epsilon, c.Momentum)
		shape.Norm, shape.Epsilon = norm.kernelMode(), norm.epsilon
	}
	if pool.Size != 0 && shape.Validate() != nil {
		shape.PoolSize, shape.PoolStride, shape.PoolPadding = 0, 0, 0
	}
	if err := shape.Validate(); err != nil {
		b.Fail("%v", err)
	}

	var operands operandList
	b.Scope(blockName("conv", number), func() *Node {
		operands.add(slotWeight, b.Weight("weight", Kernel, c.Weight.or(He), c.Filters, channels/max(c.Groups, 1), c.Kernel, c.Kernel))
		if !c.NoBias {
			operands.add(slotBias, b.Weight("bias", Bias, c.Bias.or(Constant(0)), c.Filters))
		}
		return nil
	})
	if norm != nil {
		operands.add(slotGain, norm.gain)
		operands.add(slotShift, norm.shift)
		if norm.given {
			operands.add(slotMean, norm.mean)
			operands.add(slotVariance, norm.variance)
		}
	}
	if shape.Activation == kernel.PReLU {
		operands.add(slotSlope, b.slope(blockName("conv", number)+"_prelu", c.Filters))
	}

	outHeight, outWidth := shape.Output()
	convHeight, convWidth := shape.Conv.Output()
	// Kernels allocate memory for these sizes; the result of the pool is not larger.
	b.bounded("the input with its padding", tensor.Shape{batch, height + padding.Top + padding.Bottom, width + padding.Left + padding.Right, channels}, MaxElements)
	b.bounded("the convolution's result", tensor.Shape{batch, convHeight, convWidth, c.Filters}, MaxElements)
	f32 := &convFunction[float32]{kernel.NewBlock[float32](shape), operands.slots}
	f64 := &convFunction[float64]{kernel.NewBlock[float64](shape), operands.slots}
	b.work.add(shape.Conv.Work())
	if shape.Evaluation {
		f32.block.Watch(b.weights.version)
		f64.block.Watch(b.weights.version)
	}
	if b.packed != nil && b.mode == Training {
		name := fmt.Sprintf("%s %v", b.path(blockName("conv", number)), shape)
		f32.block.Share(packedOf[float32](b.packed, name))
		f64.block.Share(packedOf[float64](b.packed, name))
	}
	if norm != nil && !norm.given {
		norm.track(b, batch*convHeight*convWidth, f32.block, f64.block, f32.block, f64.block)
	}
	return convLayer{
		blockName("conv", number), operands.weights, tensor.Shape{batch, outHeight, outWidth, c.Filters},
		tensor.Shape{batch, convHeight, convWidth, c.Filters}, f32, f64,
	}
}

// The operands of a convolution block.
const (
	slotWeight = iota
	slotBias
	slotGain
	slotShift
	slotMean
	slotVariance
	slotSlope
	slotCount
)

// operandList collects the operands of a block after its input.
type operandList struct {
	weights []*Node
	slots   []int
}

func (l *operandList) add(slot int, weight *Node) {
	l.slots = append(l.slots, slot)
	l.weights = append(l.weights, weight)
}

// convFunction runs a kernel block on the operands of the node.
type convFunction[T Float] struct {
	block *kernel.Block[T]
	slots []int // the slots of the operands after the first
}

func (f *convFunction[T]) Forward(y []T, x ...[]T) { f.block.Forward(y, x[0], f.arrange(x)) }

func (f *convFunction[T]) Backward(dx, x [][]T, y, dy []T) {
	f.block.Backward(dx[0], f.arrange(dx), x[0], f.arrange(x), y, dy)
}

func (f *convFunction[T]) backwardReads(operand int) bool {
	return operand != result || f.block.BackwardReadsResult()
}

func (f *convFunction[T]) arrange(operands [][]T) kernel.BlockWeights[T] {
	var at [slotCount][]T
	for i, slot := range f.slots {
		at[slot] = operands[i+1]
	}
	return kernel.BlockWeights[T]{
		Weight: at[slotWeight], Bias: at[slotBias],
		Gain: at[slotGain], Shift: at[slotShift], Mean: at[slotMean], Variance: at[slotVariance],
		Slope: at[slotSlope],
	}
}

// Linear is a fully connected layer: (batch, features) to (batch, Units),
// y = x·Wᵀ + b, then an optional activation. Its weights are "linearN.weight"
// (units, features), "linearN.bias" (units) and, with PReLU,
// "linearN_prelu.weight" (units).
type Linear struct {
	Units      int
	NoBias     bool
	Activation string
	Weight     Initializer // default: He
	Bias       Initializer // default: zero
}

// Kind is "linear".
func (Linear) Kind() string { return "linear" }

// Apply adds the block to the graph.
func (l Linear) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName("linear", number), l)
	batch, features := b.rows(x)
	if l.Units < 1 {
		b.Fail("found %d units, expected at least 1", l.Units)
	}
	name := blockName("linear", number)
	operands := []*Node{x}
	b.Scope(name, func() *Node {
		operands = append(operands, b.Weight("weight", Kernel, l.Weight.or(He), l.Units, features))
		if !l.NoBias {
			operands = append(operands, b.Weight("bias", Bias, l.Bias.or(Constant(0)), l.Units))
		}
		return nil
	})
	single := kernel.NewLinear[float32](batch, features, l.Units, b.roundsFactors())
	b.work.add(single.Work())
	y := b.Apply(name, tensor.Shape{batch, l.Units},
		&linear[float32]{single},
		&linear[float64]{kernel.NewLinear[float64](batch, features, l.Units, false)}, operands...)
	return b.activate(name+"_"+l.Activation, l.Activation, y)
}

type linear[T Float] struct{ kernel *kernel.Linear[T] }

func (l *linear[T]) Forward(y []T, x ...[]T) { l.kernel.Forward(y, x[0], x[1], third(x)) }

func (l *linear[T]) backwardReads(operand int) bool { return operand != result }

func (l *linear[T]) Backward(dx, x [][]T, y, dy []T) {
	l.kernel.Backward(dx[0], dx[1], third(dx), x[0], x[1], dy, false)
}

func (l *linear[T]) accumulates() int { return 1 }

func (l *linear[T]) backwardAdding(dx, x [][]T, y, dy []T) {
	l.kernel.Backward(dx[0], dx[1], third(dx), x[0], x[1], dy, true)
}

// third returns the third operand, or nil if there is none.
func third[T Float](operands [][]T) []T {
	if len(operands) < 3 {
		return nil
	}
	return operands[2]
}

// MaxPool takes the largest element of each window of (batch, height, width,
// channels). Rows and columns at the end that fill no window are dropped.
type MaxPool struct {
	Size    int
	Stride  int // 0 for Size
	Padding int `json:",omitempty"` // rows and columns on each side that are never the largest; at most Size/2
}

// Kind is "maxpool".
func (MaxPool) Kind() string { return "maxpool" }

// Apply adds the block to the graph.
func (p MaxPool) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName("maxpool", number), p)
	shape, output := b.pooled(x, p.Size, p.Stride, p.Padding)
	return b.Apply(blockName("maxpool", number), output,
		&maxPool[float32]{kernel.NewMaxPool[float32](shape)}, &maxPool[float64]{kernel.NewMaxPool[float64](shape)}, x)
}

// In training, a convolution and a max pool after it in a sequence are one operation, so that the convolution's result is
// neither normalized nor differentiated where it is not a maximum. The structure of the graph is that of two.

// pooledBlocks returns the convolution and the max pool at the beginning of blocks, and whether they may be one
// operation: if the activation is the same after the pool, and most elements are not maxima.
func (b *Builder) pooledBlocks(blocks []Block, x *Node) (c Conv, pool MaxPool, ok bool) {
	if b.mode != Training || b.apart || x == nil || len(blocks) < 2 {
		return c, pool, false
	}
	c, convolves := blocks[0].(Conv)
	pool, pools := blocks[1].(MaxPool)
	if !convolves || !pools || c.Pool != 0 || c.Groups > 1 || cmp.Or(pool.Stride, pool.Size) < 2 {
		return c, pool, false
	}
	return c, pool, c.Activation == "" || c.Activation == "relu" || c.Activation == "relu6"
}

// convolveAndPool adds a convolution and a max pool with these numbers.
func (b *Builder) convolveAndPool(c Conv, number int, pool MaxPool, poolNumber int, x *Node) (y *Node) {
	b.Named(blockName("conv", number), func() *Node {
		l := c.layer(b, number, x.Shape(), pool)
		if l.output.Eq(l.unpooled) {
			y = b.applyLayer(l, x)
			return y
		}
		described := []structureLayer{{b.path(l.name) + " ", l.unpooled, len(l.weights)}}
		l.name = blockName("maxpool", poolNumber)
		b.Describe(l.name, pool)
		y = b.applyLayer(l, x)
		y.Op().(*operation).layers = append(described, structureLayer{b.path(l.name) + " ", l.output, 0})
		b.count++
		return y
	})
	if y.Op().(*operation).layers == nil {
		y = b.Named(blockName("maxpool", poolNumber), func() *Node { return pool.Apply(b, poolNumber, y) })
	}
	return y
}

// AveragePool takes the mean of each window of (batch, height, width,
// channels). If Trainable, each channel has a trainable factor and bias,
// "averagepoolN.weight" and "averagepoolN.bias", as in the subsampling layer of LeCun
// et al. 1998, which Hadsell, Chopra & LeCun 2006 use.
type AveragePool struct {
	Size      int
	Stride    int // 0 for Size
	Trainable bool
}

// Kind is "averagepool".
func (AveragePool) Kind() string { return "averagepool" }

// Apply adds the block to the graph.
func (p AveragePool) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName("averagepool", number), p)
	shape, output := b.pooled(x, p.Size, p.Stride, 0)
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

// GlobalAveragePool takes the mean of each channel: (batch, height, width, channels)
// to (batch, channels).
type GlobalAveragePool struct{}

// Kind is "globalaveragepool".
func (GlobalAveragePool) Kind() string { return "globalaveragepool" }

// Apply adds the block to the graph.
func (GlobalAveragePool) Apply(b *Builder, number int, x *Node) *Node {
	batch, height, width, channels := b.image(x)
	return b.Apply(blockName("globalaveragepool", number), tensor.Shape{batch, channels},
		&globalAverage[float32]{batch, height * width, channels}, &globalAverage[float64]{batch, height * width, channels}, x)
}

func (b *Builder) pooled(x *Node, size, stride, padding int) (kernel.PoolShape, tensor.Shape) {
	batch, height, width, channels := b.image(x)
	if stride == 0 {
		stride = size
	}
	shape := kernel.PoolShape{Batch: batch, Height: height, Width: width, Channels: channels, Size: size, Stride: stride, Padding: padding}
	if err := shape.Validate(); err != nil {
		b.Fail("%v", err)
	}
	outHeight, outWidth := shape.Output()
	return shape, tensor.Shape{batch, outHeight, outWidth, channels}
}

type maxPool[T Float] struct{ kernel *kernel.MaxPool[T] }

func (p *maxPool[T]) Forward(y []T, x ...[]T)         { p.kernel.Forward(y, x[0]) }
func (p *maxPool[T]) Backward(dx, x [][]T, y, dy []T) { p.kernel.Backward(dx[0], dy) }

func (p *maxPool[T]) backwardReads(int) bool { return false } // but the positions of the maxima

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

type globalAverage[T Float] struct{ batch, pixels, channels int }

func (g *globalAverage[T]) Forward(y []T, x ...[]T) {
	kernel.GlobalAverage(y, x[0], g.batch, g.pixels, g.channels)
}

func (g *globalAverage[T]) backwardReads(int) bool { return false }

func (g *globalAverage[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.GlobalAverageBackward(dx[0], dy, g.batch, g.pixels, g.channels)
}
