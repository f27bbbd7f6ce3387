package graph

import (
	"github.com/likeness-go/likeness/graph/internal/kernel"
)

// In training, convolutions that are an inverted residual, and the sum with its input, are one operation, see
// kernel.InvertedTraining. They are found among the blocks of a sequence. The structure of the graph, the names of
// the weights and the random numbers of other operations are those of one operation for each.

// invertedBlocks returns the convolutions at the beginning of blocks that may be computed by one operation, or nil
// if there are none.
func (b *Builder) invertedBlocks(blocks []Block, x *Node) []Conv {
	if b.mode != Training || b.apart || b.roundsFactors() || x == nil || x.Shape().Dims() != 4 {
		return nil
	}
	var layers []Conv
	for _, block := range blocks[:min(3, len(blocks))] {
		c, ok := block.(Conv)
		if !ok || !c.NoBias || !c.BatchNorm || c.Pool != 0 {
			break
		}
		layers = append(layers, c)
	}
	channels := x.Shape()[3]
	depthwise := func(c Conv, channels int) bool {
		return c.Groups == channels && c.Groups > 1 && c.Filters == c.Groups
	}
	switch {
	case len(layers) == 3 && (layers[0].pointwise() || layers[0].first(channels) && !b.requiresGradient(x)) && depthwise(layers[1], layers[0].Filters) && layers[2].projects():
		return layers
	case len(layers) >= 2 && depthwise(layers[0], channels) && layers[1].projects():
		return layers[:2]
	}
	return nil
}

// pointwise reports whether the convolution is 1×1, and projects whether it is and has no activation.
func (c Conv) pointwise() bool {
	return c.Kernel == 1 && c.Stride <= 1 && c.Padding == 0 && c.Groups <= 1
}

// first reports whether the convolution of a number of channels is that of a first layer, whose products are so few that
// they are faster computed again than stored.
func (c Conv) first(channels int) bool { return c.Groups <= 1 && c.Kernel*c.Kernel*channels <= 64 }

func (c Conv) projects() bool { return c.pointwise() && c.Activation == "" }

// invertedTraining adds convolutions, of which the first has a number, as one operation if that is possible, and
// otherwise one by one. With add, the one operation adds x to the result, which added reports.
func (b *Builder) invertedTraining(blocks []Conv, number int, x *Node, add bool) (y *Node, added bool) {
	var layers []convLayer
	input := x.Shape()
	for i, c := range blocks {
		b.Named(blockName("conv", number+i), func() *Node {
			layers = append(layers, c.layer(b, number+i, input, MaxPool{}))
			return nil
		})
		input = layers[i].output
	}
	add = add && input.Eq(x.Shape())
	f32, f64 := newInvertedTraining[float32](layers, add), newInvertedTraining[float64](layers, add)
	for f32 == nil && len(layers) > 0 {
		x = b.Named(layers[0].name, func() *Node { return b.applyLayer(layers[0], x) })
		layers, add = layers[1:], false
		if len(layers) == 2 {
			f32, f64 = newInvertedTraining[float32](layers, false), newInvertedTraining[float64](layers, false)
		}
	}
	if f32 == nil {
		return x, false
	}
	operands := []*Node{x}
	var described []structureLayer
	for _, l := range layers {
		operands = append(operands, l.weights...)
		described = append(described, structureLayer{b.path(l.name) + " ", l.output, len(l.weights)})
	}
	last := layers[len(layers)-1]
	y = b.Apply(last.name, last.output, f32, f64, operands...)
	op := y.Op().(*operation)
	op.layers, op.adds = described, add
	b.count += uint64(len(layers) - 1)
	return y, add
}

// invertedTraining is the Function of an inverted residual in training. Its operands are the input and then the
// weights of each layer.
type invertedTraining[T Float] struct {
	kernel *kernel.InvertedTraining[T]
	layers [3]*convFunction[T] // the first may be nil
}

// newInvertedTraining returns the Function of two or three layers, or nil if they cannot be computed by one operation.
func newInvertedTraining[T Float](layers []convLayer, add bool) *invertedTraining[T] {
	f := &invertedTraining[T]{}
	var blocks [3]*kernel.Block[T]
	for i, l := range layers {
		at := 3 - len(layers) + i
		f.layers[at] = functionOf[T](l)
		blocks[at] = f.layers[at].block
	}
	if f.kernel = kernel.NewInvertedTraining(blocks[0], blocks[1], blocks[2], add); f.kernel == nil {
		return nil
	}
	return f
}

// functionOf returns the Function of a layer for an element type.
func functionOf[T Float](l convLayer) *convFunction[T] {
	if f, ok := any(l.f32).(*convFunction[T]); ok {
		return f
	}
	return any(l.f64).(*convFunction[T])
}

// arrange returns the weights of each layer, or their gradients.
func (f *invertedTraining[T]) arrange(operands [][]T) (w [3]kernel.BlockWeights[T]) {
	at := 0 // the operand before the weights of the next layer
	for i, layer := range f.layers {
		if layer != nil {
			w[i] = layer.arrange(operands[at:])
			at += len(layer.slots)
		}
	}
	return w
}

func (f *invertedTraining[T]) Forward(y []T, x ...[]T) { f.kernel.Forward(y, x[0], f.arrange(x)) }

func (f *invertedTraining[T]) Backward(dx, x [][]T, _, dy []T) {
	f.kernel.Backward(dx[0], f.arrange(dx), x[0], f.arrange(x), dy)
}

func (f *invertedTraining[T]) backwardReads(operand int) bool { return operand != result }
