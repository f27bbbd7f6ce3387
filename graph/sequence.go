package graph

import (
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
)

// sequence is the machine of graphs that nobody differentiates and that are
// made of Functions alone, such as the embedding of images: it calls one after
// the other in the caller's goroutine. Gorgonia's tape machine does the same
// work in a goroutine of its own, with values and registers between the
// Functions, which takes longer than a small network does for an image.
type sequence struct {
	calls   []call
	outputs []func()
}

// call is one Function with its memory.
type call struct {
	name string // for errors
	run  func()
}

// calculation is a node that is a Function of other nodes.
type calculation interface {
	// bind looks up the memory of the operands; nodes has those that are
	// calculated.
	bind(nodes map[*Node]calculation) (call, error)
	value() gorgonia.Value
}

type functionCall[T Float] struct {
	name     string
	function Function[T]
	inputs   []*Node
	output   *buffer[T]
}

func (f *functionCall[T]) value() gorgonia.Value { return f.output.dense() }

func (f *functionCall[T]) bind(nodes map[*Node]calculation) (call, error) {
	y, x := f.output.data(), make([][]T, len(f.inputs))
	for i, input := range f.inputs {
		if from, ok := nodes[input].(*functionCall[T]); ok {
			x[i] = from.output.data()
			continue
		}
		var err error
		if x[i], err = elements[T](input.Value()); err != nil {
			return call{}, errors.Wrapf(err, "%s: operand %d", f.name, i)
		}
	}
	return call{f.name, func() { f.function.Forward(y, x...) }}, nil
}

// newSequence returns the machine of the outputs; it is nil where a node that
// leads to them is neither a Function nor a leaf.
func (b *Builder) newSequence(outputs Outputs, values map[string]*gorgonia.Value) (*sequence, error) {
	needed := map[*Node]bool{}
	for _, node := range outputs {
		for each := range b.leadingTo(node) {
			needed[each] = true
		}
	}
	for node := range needed {
		if b.calculations[node] == nil && !node.IsVar() && node.Value() == nil {
			return nil, nil
		}
	}
	s := &sequence{}
	for _, node := range b.calculated { // in this order, operands come first
		if !needed[node] {
			continue
		}
		call, err := b.calculations[node].bind(b.calculations)
		if err != nil {
			return nil, err
		}
		s.calls = append(s.calls, call)
	}
	for name, node := range outputs {
		value := node.Value()
		if from := b.calculations[node]; from != nil {
			value = from.value() // over memory that stays
		}
		s.outputs = append(s.outputs, func() { *values[name] = value })
	}
	return s, nil
}

// RunAll calls all Functions. A panic in one is an error with its name.
func (s *sequence) RunAll() (err error) {
	name := ""
	defer func() {
		if r := recover(); r != nil {
			err = errors.Errorf("%s: %v", name, r)
		}
	}()
	for _, call := range s.calls {
		name = call.name
		call.run()
	}
	for _, output := range s.outputs {
		output()
	}
	return nil
}

// Reset does nothing: memory is kept for the next run.
func (*sequence) Reset() {}

// Close does nothing.
func (*sequence) Close() error { return nil }
