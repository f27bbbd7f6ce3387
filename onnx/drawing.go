package onnx

import (
	"encoding/binary"
	"strings"

	"github.com/likeness-go/likeness/graph"
	"github.com/pkg/errors"
)

// drawing is a graph in the making. Its methods return what nodes give; the
// first error is kept in it.
type drawing struct {
	weights   *graph.Weights
	scope     []string // prefix of the names of weights and nodes
	nodes     []node
	constants []message
	axis      bool // whether the constant lastAxis is there
	err       error
}

// draw begins a graph of the weights, rounded to float32 where they are not.
func draw(weights *graph.Weights) *drawing {
	if weights.Dtype() != graph.Float32 {
		weights = weights.Convert(graph.Float32)
	}
	return &drawing{weights: weights}
}

// value is what a node gives: its name, and whether it is a batch of images
// (batch, channels, height, width) or of vectors (batch, features).
type value struct {
	name  string
	image bool
}

func (d *drawing) fail(format string, arguments ...interface{}) {
	if d.err == nil {
		d.err = errors.Errorf(format, arguments...)
	}
}

// within draws with a further prefix to the names.
func (d *drawing) within(name string, draw func() value) value {
	d.scope = append(d.scope, name)
	result := draw()
	d.scope = d.scope[:len(d.scope)-1]
	return result
}

func (d *drawing) path(name string) string {
	return strings.Join(append(append([]string(nil), d.scope...), name), ".")
}

// node adds an operator at work on x and on constants; what it gives has x's
// kind of shape and the node's name.
func (d *drawing) node(operator, name string, x value, constants []string, attributes ...attribute) value {
	x.name = d.apply(operator, name, append([]string{x.name}, constants...), attributes...)
	return x
}

// apply adds an operator at work and returns the name of what it gives.
func (d *drawing) apply(operator, name string, inputs []string, attributes ...attribute) string {
	name = d.path(name)
	d.nodes = append(d.nodes, node{operator: operator, name: name, inputs: inputs, output: name, attributes: attributes})
	return name
}

// weight makes a constant of the named weight, in its own shape.
func (d *drawing) weight(name string) string {
	if weight := d.find(name); weight != nil {
		return d.constant(weight.Name, weight.Value.Shape(), weight.Value.Data().([]float32))
	}
	return ""
}

// channelWeight is weight for one that has an element for each channel of x.
func (d *drawing) channelWeight(name string, x value) string {
	weight := d.find(name)
	if weight == nil {
		return ""
	}
	shape := []int(weight.Value.Shape())
	if x.image { // beside (batch, channels, height, width)
		shape = append(shape[:1:1], 1, 1)
	}
	return d.constant(weight.Name, shape, weight.Value.Data().([]float32))
}

func (d *drawing) find(name string) *graph.Weight {
	name = d.path(name)
	weight := d.weights.Get(name)
	if weight == nil {
		d.fail("weight %q is missing", name)
	}
	return weight
}

// constant adds a constant under a name of its own.
func (d *drawing) constant(name string, shape []int, values []float32) string {
	d.constants = append(d.constants, tensorProto(name, shape, typeFloat32, float32Bytes(values)))
	return name
}

// lastAxis is a constant for the operators that reduce: the axis of features.
func (d *drawing) lastAxis() string {
	const name = "last_axis"
	if !d.axis {
		d.axis = true
		last := int64(-1)
		d.constants = append(d.constants, tensorProto(name, []int{1}, typeInt64, binary.LittleEndian.AppendUint64(nil, uint64(last))))
	}
	return name
}

// normalize scales each row of x, (batch, features), to Euclidean length 1, as
// kernel.Normalize does: by the largest element first, so that no square
// overflows or vanishes. A row of zeros stays zero.
func (d *drawing) normalize(name string, x value) value {
	keep := integer("keepdims", 1)
	largest := d.apply("ReduceMax", name+"_largest", []string{d.apply("Abs", name+"_magnitude", []string{x.name}), d.lastAxis()}, keep)
	// What is zero is divided by the smallest normal number, and by one.
	smallest := d.constant(d.path(name+"_smallest"), []int{1}, []float32{0x1p-126})
	one := d.constant(d.path(name+"_one"), []int{1}, []float32{1})
	scaled := d.apply("Div", name+"_scaled", []string{x.name, d.apply("Max", name+"_scale", []string{largest, smallest})})
	length := d.apply("ReduceL2", name+"_norm", []string{scaled, d.lastAxis()}, keep)
	return value{name: d.apply("Div", name, []string{scaled, d.apply("Max", name+"_length", []string{length, one})})}
}

// last is the output of the last node.
func (d *drawing) last() string { return d.nodes[len(d.nodes)-1].output }

// end makes the result of the last node an output of the given name.
func (d *drawing) end(output string) { d.nodes[len(d.nodes)-1].output = output }

// model is the finished drawing.
func (d *drawing) model(name string, inputs, outputs []Value, properties []property) (*Model, error) {
	if d.err != nil {
		return nil, d.err
	}
	var g message
	for _, n := range d.nodes {
		g.message(1, n.proto())
	}
	g.text(2, name)
	for _, constant := range d.constants {
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
