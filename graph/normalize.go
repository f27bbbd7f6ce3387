package graph

import (
	"github.com/likeness-go/likeness/graph/internal/kernel"
)

// Normalize scales each row of (batch, features) to Euclidean length 1. The
// zero vector stays zero and has gradient zero.
type Normalize struct{}

// Kind is "normalize".
func (Normalize) Kind() string { return "normalize" }

// Apply adds the block to the graph.
func (Normalize) Apply(b *Builder, number int, x *Node) *Node {
	return b.layer(blockName("normalize", number), func() *Node { return b.Normalize(x) })
}

// Normalize scales each row of x, (batch, features), to Euclidean length 1.
func (b *Builder) Normalize(x *Node) *Node {
	rows, columns := b.rows(x)
	return b.Apply("normalize", x.Shape().Clone(), newNormalize[float32](rows, columns), newNormalize[float64](rows, columns), x)
}

type normalize[T Float] struct {
	rows, columns int
	norms         []T
}

func newNormalize[T Float](rows, columns int) *normalize[T] {
	return &normalize[T]{rows, columns, make([]T, rows)}
}

func (n *normalize[T]) Forward(y []T, x ...[]T) {
	kernel.Normalize(y, n.norms, x[0], n.rows, n.columns)
}

func (n *normalize[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.NormalizeBackward(dx[0], x[0], y, n.norms, dy, n.rows, n.columns)
}
