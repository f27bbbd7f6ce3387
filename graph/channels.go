package graph

import (
	"math"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"gorgonia.org/tensor"
)

// GeM is generalized-mean pooling (Radenović, Tolias & Chum 2018, equation 3): (batch,
// height, width, channels) to (batch, channels), y = (mean of max(x, ε)ᵖ)^(1/p). The
// exponent p is trainable, "gemN.weight" (1): 1 gives the mean, and ∞ the maximum.
type GeM struct {
	Exponent float64 // initial p; 0 for 3
	Epsilon  float64 // smallest value of x; 0 for 1e-6
}

// Kind is "gem".
func (GeM) Kind() string { return "gem" }

// Apply adds the block to the graph.
func (g GeM) Apply(b *Builder, number int, x *Node) *Node {
	name := blockName("gem", number)
	b.Describe(name, g)
	batch, height, width, channels := b.image(x)
	exponent, epsilon := b.positive("an exponent", g.Exponent, 3), b.positive("an epsilon", g.Epsilon, 1e-6)
	p := b.Scope(name, func() *Node { return b.Weight("weight", Gain, Constant(exponent), 1) })
	return b.Apply(name, tensor.Shape{batch, channels},
		&gem[float32]{kernel.NewGeM[float32](batch, height*width, channels, epsilon)},
		&gem[float64]{kernel.NewGeM[float64](batch, height*width, channels, epsilon)}, x, p)
}

// positive returns a value, or its default if it is 0; it fails unless that is a number above
// zero.
func (b *Builder) positive(what string, value, otherwise float64) float64 {
	if value == 0 {
		return otherwise
	}
	if !(value > 0) || math.IsInf(value, 1) {
		b.Fail("found %s of %v, expected a number above 0, or 0 for %v", what, value, otherwise)
	}
	return value
}

type gem[T Float] struct{ kernel *kernel.GeM[T] }

func (g *gem[T]) Forward(y []T, x ...[]T) { g.kernel.Forward(y, x[0], x[1]) }

func (g *gem[T]) Backward(dx, x [][]T, y, dy []T) {
	g.kernel.Backward(dx[0], dx[1], x[0], x[1], dy)
}

// LayerNorm normalizes the channels of each pixel, or the features of each row, to mean 0
// and variance 1, then scales and shifts them (Ba, Kiros & Hinton 2016). Its weights are
// "layernormN.weight" and "layernormN.bias" (channels).
type LayerNorm struct {
	Epsilon float64 // added to the variance; 0 for 1e-6
}

// Kind is "layernorm".
func (LayerNorm) Kind() string { return "layernorm" }

// Apply adds the block to the graph.
func (l LayerNorm) Apply(b *Builder, number int, x *Node) *Node {
	name := blockName("layernorm", number)
	b.Describe(name, l)
	rows, channels := b.channels(x)
	epsilon := b.positive("an epsilon", l.Epsilon, 1e-6)
	operands := []*Node{x}
	b.Scope(name, func() *Node {
		operands = append(operands, b.Weight("weight", Gain, Constant(1), channels), b.Weight("bias", Bias, Constant(0), channels))
		return nil
	})
	return b.Apply(name, x.Shape().Clone(),
		&layerNorm[float32]{kernel.NewLayerNorm[float32](rows, channels, epsilon)},
		&layerNorm[float64]{kernel.NewLayerNorm[float64](rows, channels, epsilon)}, operands...)
}

// channels returns the extents of images or vectors as rows of channels, or fails.
func (b *Builder) channels(x *Node) (rows, channels int) {
	shape := x.Shape()
	if shape.Dims() != 4 && shape.Dims() != 2 {
		b.Fail("found an input of shape %v, expected (batch, height, width, channels) or (batch, features)", shape)
	}
	channels = shape[shape.Dims()-1]
	return shape.TotalSize() / channels, channels
}

type layerNorm[T Float] struct{ kernel *kernel.LayerNorm[T] }

func (l *layerNorm[T]) Forward(y []T, x ...[]T) { l.kernel.Forward(y, x[0], x[1], x[2]) }

func (l *layerNorm[T]) Backward(dx, x [][]T, y, dy []T) {
	l.kernel.Backward(dx[0], dx[1], dx[2], x[0], x[1], dy)
}

// Scale multiplies each channel by a trainable factor, "scaleN.weight" (channels), as
// ConvNeXt does at the end of a residual body (Liu et al. 2022; LayerScale).
type Scale struct {
	Initial float64 // of the factors; 0 for 1
}

// Kind is "scale".
func (Scale) Kind() string { return "scale" }

// Apply adds the block to the graph.
func (s Scale) Apply(b *Builder, number int, x *Node) *Node {
	name := blockName("scale", number)
	b.Describe(name, s)
	_, channels := b.channels(x)
	if math.IsNaN(s.Initial) || math.IsInf(s.Initial, 0) {
		b.Fail("found an initial factor of %v, expected a finite number, or 0 for 1", s.Initial)
	}
	initial := s.Initial
	if initial == 0 {
		initial = 1
	}
	factor := b.Scope(name, func() *Node { return b.Weight("weight", Gain, Constant(initial), channels) })
	return b.Apply(name, x.Shape().Clone(), &scale[float32]{}, &scale[float64]{}, x, factor)
}

type scale[T Float] struct{}

func (*scale[T]) Forward(y []T, x ...[]T) { kernel.ScaleChannels(y, x[0], x[1]) }

func (*scale[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.ScaleChannelsBackward(dx[0], dx[1], x[0], x[1], dy)
}

// SqueezeExcite multiplies each channel of an image by a factor that is computed from the
// means of all channels (Hu, Shen & Sun 2018): gate(W₂·activation(W₁·mean + b₁) + b₂). Its
// weights are "squeezeexciteN.reduce.weight" (Channels, input channels),
// "squeezeexciteN.reduce.bias", "squeezeexciteN.expand.weight" (input channels, Channels)
// and "squeezeexciteN.expand.bias".
type SqueezeExcite struct {
	Channels   int    // of the layer between
	Activation string // a function of Activate without weights; "" for "relu"
	Gate       string // likewise; "" for "sigmoid"
}

// Kind is "squeezeexcite".
func (SqueezeExcite) Kind() string { return "squeezeexcite" }

// Apply adds the block to the graph.
func (s SqueezeExcite) Apply(b *Builder, number int, x *Node) *Node {
	name := blockName("squeezeexcite", number)
	b.Describe(name, s)
	batch, height, width, channels := b.image(x)
	if s.Channels < 1 {
		b.Fail("found %d channels between the two layers, expected at least 1", s.Channels)
	}
	shape := kernel.SqueezeExciteShape{
		Batch: batch, Pixels: height * width, Channels: channels, Squeezed: s.Channels,
		Activation: kernel.ReLU, Gate: kernel.Sigmoid,
	}
	if s.Activation != "" {
		shape.Activation = b.activation(s.Activation)
	}
	if s.Gate != "" {
		shape.Gate = b.activation(s.Gate)
	}
	if err := shape.Validate(); err != nil {
		b.Fail("%v", err)
	}
	b.bounded("the two weights", tensor.Shape{2, s.Channels, channels}, MaxParameters)
	b.bounded("the layer between", tensor.Shape{batch, s.Channels}, MaxElements)
	operands := []*Node{x}
	b.Scope(name, func() *Node {
		for _, layer := range []struct {
			name    string
			out, in int
		}{{"reduce", s.Channels, channels}, {"expand", channels, s.Channels}} {
			b.Scope(layer.name, func() *Node {
				operands = append(operands, b.Weight("weight", Kernel, He, layer.out, layer.in), b.Weight("bias", Bias, Constant(0), layer.out))
				return nil
			})
		}
		return nil
	})
	return b.Apply(name, x.Shape().Clone(),
		&squeezeExcite[float32]{kernel.NewSqueezeExcite[float32](shape)},
		&squeezeExcite[float64]{kernel.NewSqueezeExcite[float64](shape)}, operands...)
}

type squeezeExcite[T Float] struct{ kernel *kernel.SqueezeExcite[T] }

func (s *squeezeExcite[T]) Forward(y []T, x ...[]T) { s.kernel.Forward(y, x[0], squeezeWeights(x)) }

func (s *squeezeExcite[T]) Backward(dx, x [][]T, y, dy []T) {
	s.kernel.Backward(dx[0], squeezeWeights(dx), x[0], squeezeWeights(x), dy)
}

func squeezeWeights[T Float](operands [][]T) kernel.SqueezeExciteWeights[T] {
	return kernel.SqueezeExciteWeights[T]{Reduce: operands[1], ReduceBias: operands[2], Expand: operands[3], ExpandBias: operands[4]}
}
