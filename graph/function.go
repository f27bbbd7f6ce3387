package graph

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"reflect"

	"github.com/chewxy/hm"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Function is an operation with its gradient over plain row-major slices: the
// form in which every layer of this module, and any of a user's own, enters a
// graph. A Function belongs to one node and may keep scratch memory, and what
// Backward needs, from the last Forward. It must not keep the slices it is
// given: their memory is the graph's.
type Function[T Float] interface {
	// Forward writes the output y for the inputs x. It overwrites all of y.
	Forward(y []T, x ...[]T)
	// Backward writes the gradients dx of the inputs, given the gradient dy of
	// the output of the last Forward. It overwrites all of each dx[i], but
	// skips those that are nil: they are not wanted.
	Backward(dx, x [][]T, y, dy []T)
}

// ErrNoForm says that a Function is nil in the arithmetic of the graph.
var ErrNoForm = errors.New("the function has no form")

// Apply adds a Function to the graph as a node of the given shape. The Function is
// given for both element types, and the graph takes the one it needs; if that is
// nil, Build returns an error that wraps ErrNoForm. The name appears in errors.
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

// own fails where a function that may have state is another node's already: the
// later Forward would overwrite what the earlier node's Backward needs.
func (b *Builder) own(name string, function any) {
	value := reflect.ValueOf(function)
	if value.Kind() != reflect.Pointer || value.Type().Elem().Size() == 0 {
		return
	}
	if b.functions[function] {
		b.Fail("%s: the function belongs to another node already: give each node one of its own", name)
	}
	b.functions[function] = true
}

// differentiate builds the backward operation of a function and its taps.
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
			tap := &operation{name: forward.name + " gradient", shape: inputs[i].Shape()}
			tap.do = func([]gorgonia.Value) (gorgonia.Value, error) { return buffer.value(), nil }
			if nodes[i], err = b.apply(tap, root); err != nil {
				return nil, err
			}
		}
	}
	return nodes, nil
}

// buffer is memory that an operation owns and reuses in every run. It is
// handed out under a fresh header each time, because Gorgonia may change the
// header.
type buffer[T Float] struct {
	shape   tensor.Shape
	backing []T
	run     uint64 // that last wrote to it, where it is shared
}

func newBuffer[T Float](shape tensor.Shape) *buffer[T] { return &buffer[T]{shape: shape.Clone()} }

func (b *buffer[T]) data() []T {
	if b.backing == nil {
		b.backing = make([]T, b.shape.TotalSize())
	}
	return b.backing
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

// operation is a Gorgonia Op made of closures. Every operation of a graph has
// an id of its own in its hash: Gorgonia takes two nodes of one hash for the
// same expression.
type operation struct {
	name     string // the layer's path and the operation, for errors
	settings string // of a user's Function, for the structure
	id       uint64
	inputs   hm.Types
	output   hm.Type
	shape    tensor.Shape
	wants    []bool // inputs to differentiate by; all false where diff is nil
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
			err = errors.Errorf("%s: %v", op.name, r)
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

// DiffWRT says by which inputs the operation is differentiated.
func (op *operation) DiffWRT(int) []bool { return op.wants }

// SymDiff gives the nodes of the gradients, nil where none is wanted.
func (op *operation) SymDiff(inputs gorgonia.Nodes, output, gradient *Node) (gorgonia.Nodes, error) {
	if op.diff == nil {
		return nil, errors.Errorf("%s has no gradient", op.name)
	}
	return op.diff(inputs, output, gradient)
}

// A weight that several towers use has a gradient from each of them, and its
// gradient is their sum. Where a function can add to what there is, they have
// one buffer: each backward pass after the first of a run adds to it. For the
// large weights of fully connected layers this saves memory and a pass through
// it; other gradients are added up at the end of a run (see Parameter).

// accumulating is a function that can add the gradient of one of its inputs to
// what its memory holds.
type accumulating[T Float] interface {
	// accumulates is the input's index.
	accumulates() int
	// backwardAdding is Backward, but for that.
	backwardAdding(dx, x [][]T, y, dy []T)
}

// sharedBuffer returns the buffer of the gradients of all uses of a weight that
// is input i of a function; it is nil where they are better apart.
func sharedBuffer[T Float](b *Builder, f Function[T], i int, input *Node) *buffer[T] {
	name, isWeight := b.leaves[input]
	a, ok := f.(accumulating[T])
	if !ok || !isWeight || a.accumulates() != i || b.graph.To(input.ID()).Len() != 1 {
		return nil // of a leaf that others use too, Gorgonia adds up the gradients
	}
	b.sharers[input] = true
	if shared, ok := b.shared[name].(*buffer[T]); ok {
		return shared
	}
	shared := newBuffer[T](input.Shape())
	b.shared[name] = shared
	return shared
}

// begin notes that a buffer is written to in the present run, and says whether
// it has been before.
func (b *buffer[T]) begin(runs *runState) (again bool) {
	again = b.run == runs.attempt
	b.run = runs.attempt
	return again
}

// sharing names the weight in whose shared buffer the gradient of a leaf is; it
// is empty for all others.
func (b *Builder) sharing(leaf *Node) string {
	if !b.sharers[leaf] {
		return ""
	}
	return b.leaves[leaf]
}
