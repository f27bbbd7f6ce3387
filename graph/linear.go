package graph

import (
	"github.com/likeness-go/likeness/graph/internal/kernel"
	"gorgonia.org/tensor"
)

// Linear is a fully connected layer: (batch, features) to (batch, Units),
// y = x·Wᵀ + b, then an optional activation. Its weights are "linearN.weight"
// (units, features), "linearN.bias" (units) and, with PReLU,
// "linearN_prelu.weight" (units).
type Linear struct {
	Units      int
	NoBias     bool
	Activation string
	Weight     Initializer // He's where left open
	Bias       Initializer // zero where left open
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
	y := b.Apply(name, tensor.Shape{batch, l.Units},
		&linear[float32]{kernel.NewLinear[float32](batch, features, l.Units)},
		&linear[float64]{kernel.NewLinear[float64](batch, features, l.Units)}, operands...)
	return b.activate(name+"_"+l.Activation, l.Activation, y)
}

type linear[T Float] struct{ kernel *kernel.Linear[T] }

func (l *linear[T]) Forward(y []T, x ...[]T) { l.kernel.Forward(y, x[0], x[1], third(x)) }

func (l *linear[T]) Backward(dx, x [][]T, y, dy []T) {
	l.kernel.Backward(dx[0], dx[1], third(dx), x[0], x[1], dy, false)
}

func (l *linear[T]) accumulates() int { return 1 }

func (l *linear[T]) backwardAdding(dx, x [][]T, y, dy []T) {
	l.kernel.Backward(dx[0], dx[1], third(dx), x[0], x[1], dy, true)
}

// third is the operand of a bias, which a layer may do without.
func third[T Float](operands [][]T) []T {
	if len(operands) < 3 {
		return nil
	}
	return operands[2]
}
