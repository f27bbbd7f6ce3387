package graph

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"reflect"

	"github.com/chewxy/hm"
	"github.com/likeness-go/likeness/internal/guard"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Function is an operation with its gradient over plain row-major slices. Every layer of
// this module is one, and so is a user-defined operation. A Function belongs to one node.
// It may keep scratch memory and values of the last Forward that Backward needs, but not
// the slices of its arguments, whose memory belongs to the graph.
type Function[T Float] interface {
	// Forward writes the output y for the inputs x. It overwrites all of y.
	Forward(y []T, x ...[]T)
	// Backward writes the gradients dx of the inputs, given the gradient dy of
	// the output of the last Forward. It overwrites all of each dx[i], except
	// those that are nil, which are not needed.
	Backward(dx, x [][]T, y, dy []T)
}

// ErrNoForm is the error of Build if a Function is nil for the element type of the graph.
var ErrNoForm = errors.New("the function has no form")

// Apply adds a Function to the graph as a node of the given shape. The Function is given
// for both element types, and the graph uses the one for its own; if that is nil, Build
// returns an error that wraps ErrNoForm. The name appears in errors.
//
// With the scalar shape, tensor.ScalarShape() or nil, the node is a scalar, which
// can be the Cost; the Function then writes one element. A scalar operand has one
// element, too.
//
// In the Gorgonia graph a Function becomes a forward operation, a backward
// operation that computes all wanted gradients and returns the first, and for each
// further gradient a small operation that depends on the backward operation and
// returns that gradient.
func (b *Builder) Apply(name string, shape tensor.Shape, f32 Function[float32], f64 Function[float64], inputs ...*Node) *Node {
	if b.Dtype() == Float32 {
		return applyFunction(b, name, shape, f32, inputs)
	}
	return applyFunction(b, name, shape, f64, inputs)
}

func applyFunction[T Float](b *Builder, name string, shape tensor.Shape, f Function[T], inputs []*Node) *Node {
	if f == nil {
		panic(unwound{fmt.Errorf("%s: %w for %v", name, ErrNoForm, b.Dtype())})
	}
	for i, input := range inputs {
		if input == nil {
			b.Fail("%s: operand %d is nil, expected a node", name, i)
		}
	}
	if !shape.IsScalar() {
		b.bounded(name, shape, MaxElements)
	}
	b.own(name, f)
	wants, any := make([]bool, len(inputs)), false
	for i, input := range inputs {
		wants[i] = b.requiresGradient(input)
		any = any || wants[i]
	}
	output := newBuffer[T](shape)
	forward := &operation{name: b.path(name), settings: settingsOf(f), shape: shape, wants: wants}
	forward.do = func(values []gorgonia.Value) (gorgonia.Value, error) {
		x, err := allElements[T](values)
		if err != nil {
			return nil, err
		}
		f.Forward(output.data(), x...)
		return output.value(), nil
	}
	forward.diff = func(inputs gorgonia.Nodes, output, gradient *Node) (gorgonia.Nodes, error) {
		return differentiate(b, forward, f, inputs, output, gradient)
	}
	node := b.Node(b.apply(forward, inputs...))
	b.requires[node] = any
	b.calculations[node] = &functionCall[T]{forward.name, f, inputs, output}
	b.calculated = append(b.calculated, node)
	return node
}

// own fails if a function that may have state belongs to another node already: the
// Forward of the later node would overwrite what the Backward of the earlier needs.
func (b *Builder) own(name string, function any) {
	value := reflect.ValueOf(function)
	if value.Kind() != reflect.Pointer || value.Type().Elem().Size() == 0 {
		return
	}
	if b.functions[function] {
		b.Fail("%s: the function belongs to another node already: make a Function for each node", name)
	}
	b.functions[function] = true
}

// differentiate adds the backward operation of a function, and for each further
// gradient a tap: an operation that depends on it and returns that gradient.
func differentiate[T Float](b *Builder, forward *operation, f Function[T], inputs gorgonia.Nodes, output, gradient *Node) (gorgonia.Nodes, error) {
	gradients := make([]*buffer[T], len(inputs))
	first := -1
	var shared *buffer[T]
	for i, wanted := range forward.wants {
		if wanted {
			if common := sharedBuffer(b, f, i, inputs[i]); common != nil {
				shared, gradients[i] = common, common
			} else {
				gradients[i] = newBuffer[T](inputs[i].Shape())
			}
			if first < 0 {
				first = i
			}
		}
	}
	backward := &operation{name: forward.name + " gradient", shape: inputs[first].Shape()}
	backward.do = func(values []gorgonia.Value) (gorgonia.Value, error) {
		if err := b.runs.inOrder(backward); err != nil {
			return nil, err
		}
		all, err := allElements[T](values)
		if err != nil {
			return nil, err
		}
		dx := make([][]T, len(inputs))
		for i, gradient := range gradients {
			if gradient != nil {
				dx[i] = gradient.data()
			}
		}
		backward := f.Backward
		if shared != nil && shared.begin(b.runs) {
			backward = f.(accumulating[T]).backwardAdding
		}
		backward(dx, all[:len(inputs)], all[len(inputs)], all[len(inputs)+1])
		return gradients[first].value(), nil
	}
	if s, ok := f.(selective); ok {
		backward.reads = func(operand int) bool {
			switch operand {
			case len(inputs):
				return s.backwardReads(result)
			case len(inputs) + 1:
				return true // the gradient
			}
			return s.backwardReads(operand)
		}
	}
	operands := append(append(gorgonia.Nodes(nil), inputs...), output, gradient)
	root, err := b.apply(backward, operands...)
	if err != nil {
		return nil, err
	}
	nodes := make(gorgonia.Nodes, len(inputs))
	for i, buffer := range gradients {
		switch {
		case buffer == nil:
		case i == first:
			nodes[i] = root
		default:
			tap := &operation{name: forward.name + " gradient", shape: inputs[i].Shape(), tap: true}
			tap.do = func([]gorgonia.Value) (gorgonia.Value, error) { return buffer.value(), nil }
			if nodes[i], err = b.apply(tap, root); err != nil {
				return nil, err
			}
		}
		if buffer != nil && buffer != shared {
			b.gradients[nodes[i]] = buffer
		}
	}
	return nodes, nil
}

func (b *buffer[T]) dense() *tensor.Dense { return newDense(b.data(), b.shape) }

// value is what the operation returns. Gorgonia's operations take scalars in a
// type of their own, which holds a copy.
func (b *buffer[T]) value() gorgonia.Value {
	if !b.shape.IsScalar() {
		return b.dense()
	}
	switch scalar := any(b.data()[0]).(type) {
	case float32:
		return gorgonia.NewF32(scalar)
	case float64:
		return gorgonia.NewF64(scalar)
	}
	panic("unreachable: a Float is a float32 or a float64")
}

func allElements[T Float](values []gorgonia.Value) ([][]T, error) {
	all := make([][]T, len(values))
	for i, value := range values {
		var err error
		if all[i], err = elements[T](value); err != nil {
			return nil, errors.Wrapf(err, "operand %d", i)
		}
	}
	return all, nil
}

// operation is a gorgonia.Op made of closures. Every operation of a graph has an id
// of its own in its hash, because Gorgonia takes two nodes of one hash for the same
// expression.
type operation struct {
	name     string           // the layer's path and the operation, for errors
	settings string           // of a user's Function, for Structure
	adds     bool             // the operation begins with a sum, which is a node of its own in the structure
	only     bool             // the sum is all of it
	layers   []structureLayer // that it computes; with adds, it then adds the operand after them, or its first one if there is none
	tap      bool             // it returns another gradient than that of its operand, which it does not read
	id       uint64
	position int                    // in the order by which results and gradients share memory
	reads    func(operand int) bool // whether the values of an operand matter; nil if all do
	inputs   hm.Types
	output   hm.Type
	shape    tensor.Shape
	wants    []bool // inputs that need a gradient; all false if diff is nil
	do       func(inputs []gorgonia.Value) (gorgonia.Value, error)
	diff     func(inputs gorgonia.Nodes, output, gradient *Node) (gorgonia.Nodes, error)
}

// apply makes the operation a node of the graph.
func (b *Builder) apply(op *operation, inputs ...*Node) (*Node, error) {
	b.count++
	op.id = b.count
	op.output = b.Dtype() // of a scalar
	if !op.shape.IsScalar() {
		op.output = gorgonia.TensorType{Dims: op.shape.Dims(), Of: b.Dtype()}
	}
	for _, input := range inputs {
		op.inputs = append(op.inputs, input.Type())
	}
	if op.wants == nil {
		op.wants = make([]bool, len(inputs))
	}
	node, err := gorgonia.ApplyOp(op, inputs...)
	return node, errors.Wrap(err, op.name)
}

// Do runs the operation. Gorgonia runs it in a goroutine of its own, where a
// panic would end the process, so it becomes an error here.
func (op *operation) Do(inputs ...gorgonia.Value) (value gorgonia.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.Errorf("%s: %s", op.name, guard.Text(r))
		}
	}()
	value, err = op.do(inputs)
	return value, errors.Wrap(err, op.name)
}

func (op *operation) Arity() int { return len(op.inputs) }

func (op *operation) Type() hm.Type {
	return hm.NewFnType(append(append(hm.Types(nil), op.inputs...), op.output)...)
}

func (op *operation) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	return op.shape.Clone(), nil
}

func (op *operation) ReturnsPtr() bool     { return true }
func (op *operation) CallsExtern() bool    { return false }
func (op *operation) OverwritesInput() int { return -1 }
func (op *operation) String() string       { return op.name }

func (op *operation) WriteHash(h hash.Hash) {
	fmt.Fprintf(h, "likeness:%s:", op.name)
	binary.Write(h, binary.LittleEndian, op.id)
}

func (op *operation) Hashcode() uint32 {
	h := fnv.New32a()
	op.WriteHash(h)
	return h.Sum32()
}

// DiffWRT reports with respect to which inputs the operation is differentiated.
func (op *operation) DiffWRT(int) []bool { return op.wants }

// SymDiff returns the nodes of the gradients, nil for inputs that need none.
func (op *operation) SymDiff(inputs gorgonia.Nodes, output, gradient *Node) (gorgonia.Nodes, error) {
	if op.diff == nil {
		return nil, errors.Errorf("%s has no gradient", op.name)
	}
	return op.diff(inputs, output, gradient)
}

// A weight that several towers use has a gradient from each of them, and its
// gradient is their sum. If the Function can add to a buffer, the towers share one:
// each backward pass of a run after the first adds to it. For the large weights of
// fully connected layers this saves memory and a pass over it. Other gradients are
// added up at the end of a run (see Parameter).

// accumulating is a Function that can add the gradient of one of its inputs to the
// buffer instead of overwriting it.
type accumulating[T Float] interface {
	// accumulates returns the index of that input.
	accumulates() int
	// backwardAdding is Backward, except that it adds that gradient.
	backwardAdding(dx, x [][]T, y, dy []T)
}

// sharedBuffer returns the buffer of the gradients of all uses of the weight that is
// input i of a function; nil if each use has a buffer of its own.
func sharedBuffer[T Float](b *Builder, f Function[T], i int, input *Node) *buffer[T] {
	name, isWeight := b.leaves[input]
	a, ok := f.(accumulating[T])
	if !ok || !isWeight || a.accumulates() != i || b.graph.To(input.ID()).Len() != 1 {
		return nil // if other nodes use the leaf, too, Gorgonia adds up their gradients
	}
	b.sharers[input] = true
	if shared, ok := b.shared[name].(*buffer[T]); ok {
		return shared
	}
	shared := newBuffer[T](input.Shape())
	b.shared[name] = shared
	return shared
}

// begin records that the current run writes to the buffer, and reports whether it has
// done so before.
func (b *buffer[T]) begin(runs *runState) (again bool) {
	again = b.run == runs.attempt
	b.run = runs.attempt
	return again
}

// sharing is the name of the weight whose shared buffer contains the gradient of the
// leaf; it is empty for other leaves.
func (b *Builder) sharing(leaf *Node) string {
	if !b.sharers[leaf] {
		return ""
	}
	return b.leaves[leaf]
}
