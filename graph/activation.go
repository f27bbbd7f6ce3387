package graph

import (
	"github.com/likeness-go/likeness/graph/internal/kernel"
)

// Activate applies a function to every element: "relu", "prelu" (with a slope
// of its own for each channel, "preluN.weight", 0.25 at first: He et al.
// 2015), "sigmoid" or "tanh". The empty name is the identity.
type Activate struct {
	Function string
}

// Kind is the name of the function.
func (a Activate) Kind() string {
	if a.Function == "" {
		return "identity"
	}
	return a.Function
}

// Apply adds the block to the graph.
func (a Activate) Apply(b *Builder, number int, x *Node) *Node {
	b.Describe(blockName(a.Kind(), number), a)
	return b.activate(blockName(a.Kind(), number), a.Function, x)
}

// activate applies the named function; name is that of the operation and of
// the slope's scope.
func (b *Builder) activate(name, functionName string, x *Node) *Node {
	function := b.activation(functionName)
	if function == kernel.Identity {
		return x
	}
	shape := x.Shape()
	channels := shape[shape.Dims()-1]
	operands := []*Node{x}
	if function == kernel.PReLU {
		operands = append(operands, b.slope(name, channels))
	}
	return b.Apply(name, shape.Clone(),
		&activation[float32]{function, channels}, &activation[float64]{function, channels}, operands...)
}

// activation finds a function by its name.
func (b *Builder) activation(name string) kernel.Activation {
	switch name {
	case "":
		return kernel.Identity
	case "relu":
		return kernel.ReLU
	case "prelu":
		return kernel.PReLU
	case "sigmoid":
		return kernel.Sigmoid
	case "tanh":
		return kernel.Tanh
	}
	b.Fail("found activation %q, expected relu, prelu, sigmoid or tanh", name)
	return kernel.Identity
}

// slope is the weight of a PReLU.
func (b *Builder) slope(name string, channels int) *Node {
	return b.Scope(name, func() *Node {
		return b.Weight("weight", Gain, Constant(0.25), channels)
	})
}

type activation[T Float] struct {
	function kernel.Activation
	channels int
}

func (a *activation[T]) Forward(y []T, x ...[]T) {
	kernel.Activate(a.function, y, x[0], second(x), a.channels)
}

func (a *activation[T]) Backward(dx, x [][]T, y, dy []T) {
	kernel.ActivateBackward(a.function, dx[0], second(dx), x[0], y, dy, second(x), a.channels)
}

// second is the operand of a slope or a weight, which an operation may do
// without.
func second[T Float](operands [][]T) []T {
	if len(operands) < 2 {
		return nil
	}
	return operands[1]
}
