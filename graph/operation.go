package graph

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

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
