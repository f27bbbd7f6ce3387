package graph

import (
	"github.com/likeness-go/likeness/graph/internal/kernel"
	"gorgonia.org/tensor"
)

// Flatten makes a vector of each image: (batch, height, width, channels) to
// (batch, channels·height·width), in channel-height-width order as PyTorch
// has it, so that fully connected weights are the same in both. It copies:
// Gorgonia's Reshape shares memory with its source, which a later operation in
// place corrupts.
type Flatten struct{}

// Kind is "flatten".
func (Flatten) Kind() string { return "flatten" }

// Apply adds the block to the graph.
func (Flatten) Apply(b *Builder, number int, x *Node) *Node {
	batch, height, width, channels := b.image(x)
	return b.Apply(blockName("flatten", number), tensor.Shape{batch, channels * height * width},
		&flatten[float32]{batch, height, width, channels}, &flatten[float64]{batch, height, width, channels}, x)
}

type flatten[T Float] struct{ batch, height, width, channels int }

func (f *flatten[T]) Forward(y []T, x ...[]T) {
	kernel.ChannelsFirst(y, x[0], f.batch, f.height, f.width, f.channels)
}

func (f *flatten[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.ChannelsLast(dx[0], dy, f.batch, f.height, f.width, f.channels)
}

// Reshape gives a node another shape of the same size, by a copy.
func (b *Builder) Reshape(x *Node, shape ...int) *Node {
	if tensor.Shape(shape).TotalSize() != x.Shape().TotalSize() {
		b.Fail("reshape: found shape %v, which has not the size of %v", x.Shape(), tensor.Shape(shape))
	}
	return b.Apply("reshape", shape, &copying[float32]{}, &copying[float64]{}, x)
}

type copying[T Float] struct{}

func (*copying[T]) Forward(y []T, x ...[]T)         { copy(y, x[0]) }
func (*copying[T]) Backward(dx, x [][]T, y, dy []T) { copy(dx[0], dy) }
