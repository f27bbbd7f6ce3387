package onnx

import (
	"encoding/binary"
	"io"
	"math"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/atomicfile"
	"github.com/pkg/errors"
)

// Model is the content of one ONNX file. Equal models give equal files, byte for byte.
type Model struct {
	Inputs  []Value
	Outputs []Value

	content message
}

// Value is an input or an output of a model, of float32.
type Value struct {
	Name  string
	Shape []string // numbers, or "batch" for a dimension that may differ between runs
	Doc   string   // description
}

// String formats the value as "embeddings (batch, 64)".
func (v Value) String() string { return v.Name + " (" + strings.Join(v.Shape, ", ") + ")" }

// batch is the name of the variable extent.
const batch = "batch"

// WriteFile writes the model to a file atomically. A model that takes more than the 2 GiB
// of a protocol buffer is an error.
func (m *Model) WriteFile(path string) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := m.WriteTo(w)
		return err
	})
}

// WriteTo writes the model and returns the number of bytes.
func (m *Model) WriteTo(w io.Writer) (int64, error) {
	if m == nil || len(m.content.pieces) == 0 {
		return 0, errors.New("onnx: the model is empty, expected one of Network or Head")
	}
	if m.content.size > math.MaxInt32 {
		return 0, errors.Errorf("onnx: the model takes %d bytes, a protocol buffer holds at most %d", m.content.size, math.MaxInt32)
	}
	var written int64
	for _, piece := range m.content.pieces {
		n, err := w.Write(piece)
		written += int64(n)
		if err != nil {
			return written, errors.Wrap(err, "onnx: write model")
		}
	}
	return written, nil
}

// builder builds a graph. Its methods return the names of outputs; the first error is
// kept in it.
type builder struct {
	weights   *graph.Weights
	scope     []string // prefix of the names of weights and nodes
	nodes     []node
	constants []message
	axis      bool // whether the constant lastAxis is there
	err       error
}

// newBuilder starts a graph of the weights, which are rounded to float32.
func newBuilder(weights *graph.Weights) *builder {
	if weights.Dtype() != graph.Float32 {
		weights = weights.Convert(graph.Float32)
	}
	return &builder{weights: weights}
}

// value is the output of a node: its name, and whether it is a batch of images
// (batch, channels, height, width) or of vectors (batch, features).
type value struct {
	name  string
	image bool
}

func (b *builder) fail(format string, arguments ...interface{}) {
	if b.err == nil {
		b.err = errors.Errorf(format, arguments...)
	}
}

// within calls build with a further prefix to the names.
func (b *builder) within(name string, build func() value) value {
	b.scope = append(b.scope, name)
	result := build()
	b.scope = b.scope[:len(b.scope)-1]
	return result
}

func (b *builder) path(name string) string {
	return strings.Join(append(append([]string(nil), b.scope...), name), ".")
}

// node adds an operator on x and on constants; its output has x's kind of shape and the
// node's name.
func (b *builder) node(operator, name string, x value, constants []string, attributes ...attribute) value {
	x.name = b.apply(operator, name, append([]string{x.name}, constants...), attributes...)
	return x
}

// apply adds an operator and returns the name of its output.
func (b *builder) apply(operator, name string, inputs []string, attributes ...attribute) string {
	name = b.path(name)
	b.nodes = append(b.nodes, node{operator: operator, name: name, inputs: inputs, output: name, attributes: attributes})
	return name
}

// weight adds the named weight as a constant of its own shape.
func (b *builder) weight(name string) string {
	if weight := b.find(name); weight != nil {
		return b.constant(weight.Name, weight.Value.Shape(), weight.Value.Data().([]float32))
	}
	return ""
}

// channelWeight is weight for a weight with one element for each channel of x.
func (b *builder) channelWeight(name string, x value) string {
	weight := b.find(name)
	if weight == nil {
		return ""
	}
	shape := []int(weight.Value.Shape())
	if x.image { // beside (batch, channels, height, width)
		shape = append(shape[:1:1], 1, 1)
	}
	return b.constant(weight.Name, shape, weight.Value.Data().([]float32))
}

func (b *builder) find(name string) *graph.Weight {
	name = b.path(name)
	weight := b.weights.Get(name)
	if weight == nil {
		b.fail("weight %q is missing", name)
	}
	return weight
}

// constant adds a constant.
func (b *builder) constant(name string, shape []int, values []float32) string {
	b.constants = append(b.constants, tensorProto(name, shape, typeFloat32, float32Bytes(values)))
	return name
}

// scalar adds a constant of no axes, with a name in the present scope.
func (b *builder) scalar(name string, value float64) string {
	return b.constant(b.path(name), nil, []float32{float32(value)})
}

// lastAxis is a constant for reduction operators: the axis of features.
func (b *builder) lastAxis() string {
	const name = "last_axis"
	if !b.axis {
		b.axis = true
		last := int64(-1)
		b.constants = append(b.constants, tensorProto(name, []int{1}, typeInt64, binary.LittleEndian.AppendUint64(nil, uint64(last))))
	}
	return name
}

// normalize scales each row of x, (batch, features), to Euclidean length 1, as
// kernel.Normalize does: by the largest element first, so that no square
// overflows or vanishes. A row of zeros stays zero.
func (b *builder) normalize(name string, x value) value {
	keep := integer("keepdims", 1)
	largest := b.apply("ReduceMax", name+"_largest", []string{b.apply("Abs", name+"_magnitude", []string{x.name}), b.lastAxis()}, keep)
	// What is zero is divided by the smallest normal number, and by one.
	smallest := b.constant(b.path(name+"_smallest"), []int{1}, []float32{0x1p-126})
	one := b.constant(b.path(name+"_one"), []int{1}, []float32{1})
	scaled := b.apply("Div", name+"_scaled", []string{x.name, b.apply("Max", name+"_scale", []string{largest, smallest})})
	length := b.apply("ReduceL2", name+"_norm", []string{scaled, b.lastAxis()}, keep)
	return value{name: b.apply("Div", name, []string{scaled, b.apply("Max", name+"_length", []string{length, one})})}
}

// last is the output of the last node.
func (b *builder) last() string { return b.nodes[len(b.nodes)-1].output }

// end makes the result of the last node an output of the given name.
func (b *builder) end(output string) { b.nodes[len(b.nodes)-1].output = output }

// model is the finished graph.
func (b *builder) model(name string, inputs, outputs []Value, properties []property) (*Model, error) {
	if b.err != nil {
		return nil, b.err
	}
	var g message
	for _, n := range b.nodes {
		g.message(1, n.proto())
	}
	g.text(2, name)
	for _, constant := range b.constants {
		g.message(5, constant)
	}
	for _, input := range inputs {
		g.message(11, input.proto())
	}
	for _, output := range outputs {
		g.message(12, output.proto())
	}
	return &Model{Inputs: inputs, Outputs: outputs, content: modelProto(g, properties)}, nil
}
