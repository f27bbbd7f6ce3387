package graph

import (
	"github.com/likeness-go/likeness/graph/internal/kernel"
	"gorgonia.org/tensor"
)

// Conv is the block that networks are made of: convolution, bias, batch norm,
// activation and max pool, each optional but the first, as one operation.
//
// It maps (batch, height, width, channels) to (batch, height', width',
// filters). Its weights are "convN.weight" (filters, channels, kernel, kernel)
// and "convN.bias" (filters), with batch norm "normN.weight", "normN.bias",
// "normN.running_mean" and "normN.running_var", with PReLU "convN_prelu.weight".
type Conv struct {
	Filters    int         // output channels
	Kernel     int         // height and width of the window
	Stride     int         // 0 is 1
	Padding    int         // rows and columns of zeros on each side; 0 is a valid convolution
	NoBias     bool        // leave the bias out, as is usual before batch norm
	BatchNorm  bool        // normalise each channel before the activation
	Activation string      // "", "relu", "prelu", "sigmoid" or "tanh"
	Pool       int         // size and stride of a max pool; 0 is none
	Weight     Initializer // He's where left open
	Bias       Initializer // zero where left open
}

// Kind is "conv".
func (Conv) Kind() string { return "conv" }

// Apply adds the block to the graph.
func (c Conv) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName("conv", number), c)
	batch, height, width, channels := b.image(x)
	shape := kernel.BlockShape{
		Conv: kernel.ConvShape{
			Batch: batch, Height: height, Width: width, Channels: channels,
			Filters: c.Filters, KernelHeight: c.Kernel, KernelWidth: c.Kernel,
			Stride: max(c.Stride, 1), Padding: c.Padding,
		},
		Activation: b.activation(c.Activation),
		PoolSize:   c.Pool, PoolStride: c.Pool,
		Evaluation: b.mode == Evaluation,
	}
	var norm *normWeights
	if c.BatchNorm {
		norm = b.norm(blockName("norm", number), c.Filters)
		shape.Norm, shape.Epsilon = norm.kernelMode(), normEpsilon
	}
	if err := shape.Validate(); err != nil {
		b.Fail("%v", err)
	}

	operands := operandList{x: x}
	b.Scope(blockName("conv", number), func() *Node {
		operands.add(slotWeight, b.Weight("weight", Kernel, c.Weight.or(He), c.Filters, channels, c.Kernel, c.Kernel))
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
	// Kernels take memory for these, the pool's result is no more.
	b.bounded("the input with its padding", tensor.Shape{batch, height + 2*c.Padding, width + 2*c.Padding, channels}, MaxElements)
	b.bounded("the convolution's result", tensor.Shape{batch, convHeight, convWidth, c.Filters}, MaxElements)
	f32 := &convFunction[float32]{kernel.NewBlock[float32](shape), operands.slots}
	f64 := &convFunction[float64]{kernel.NewBlock[float64](shape), operands.slots}
	if norm != nil && !norm.given {
		norm.track(b, batch*convHeight*convWidth, f32.block, f64.block)
	}
	return b.Apply(blockName("conv", number), tensor.Shape{batch, outHeight, outWidth, c.Filters}, f32, f64, operands.nodes()...)
}

// The places that an operand of a convolution block may have.
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

// operandList collects the operands that a block has.
type operandList struct {
	x       *Node
	weights []*Node
	slots   []int
}

func (l *operandList) add(slot int, weight *Node) {
	l.slots = append(l.slots, slot)
	l.weights = append(l.weights, weight)
}

func (l *operandList) nodes() []*Node { return append([]*Node{l.x}, l.weights...) }

// convFunction runs a kernel block on the operands that the graph gives it.
type convFunction[T Float] struct {
	block *kernel.Block[T]
	slots []int // of the operands after the first
}

func (f *convFunction[T]) Forward(y []T, x ...[]T) { f.block.Forward(y, x[0], f.arrange(x)) }

func (f *convFunction[T]) Backward(dx, x [][]T, y, dy []T) {
	f.block.Backward(dx[0], f.arrange(dx), x[0], f.arrange(x), y, dy)
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
