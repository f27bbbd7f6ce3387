package onnx

import (
	"encoding/binary"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto):
// versions, types of elements and types of attributes.
const (
	irVersion       = 8
	operatorSet     = 18
	typeFloat32     = 1
	typeInt64       = 7
	attributeFloat  = 1
	attributeInt    = 2
	attributeString = 3
	attributeInts   = 7
)

// producer is the name of the program that wrote a file. Its version is left out, so that
// equal models give equal files.
const producer = "likeness"

// property is an entry of the metadata.
type property struct{ key, value string }

// modelProto is the outermost message, ModelProto.
func modelProto(graph message, properties []property) message {
	var operators, m message
	operators.text(1, "") // the domain of the standard's own operators
	operators.integer(2, operatorSet)
	m.integer(1, irVersion)
	m.text(2, producer)
	m.message(7, graph)
	m.message(8, operators)
	for _, p := range properties {
		var entry message
		entry.text(1, p.key)
		entry.text(2, p.value)
		m.message(14, entry)
	}
	return m
}

// attribute is a setting of a node: an int64 or several, a word or a float32.
type attribute struct {
	name   string
	values []int64
	list   bool
	word   string
	float  *float32
}

func float(name string, value float64) attribute {
	rounded := float32(value)
	return attribute{name: name, float: &rounded}
}

func integer(name string, value int) attribute {
	return attribute{name: name, values: []int64{int64(value)}}
}

func integers(name string, values ...int) attribute {
	a := attribute{name: name, list: true}
	for _, v := range values {
		a.values = append(a.values, int64(v))
	}
	return a
}

func word(name, value string) attribute { return attribute{name: name, word: value} }

// proto is the attribute as an AttributeProto.
func (a attribute) proto() message {
	var m message
	m.text(1, a.name)
	if a.word != "" {
		m.text(4, a.word)
		m.integer(20, attributeString)
		return m
	}
	if a.float != nil {
		m.float(2, *a.float)
		m.integer(20, attributeFloat)
		return m
	}
	if !a.list {
		m.integer(3, a.values[0])
		m.integer(20, attributeInt)
		return m
	}
	for _, v := range a.values {
		m.integer(8, v)
	}
	m.integer(20, attributeInts)
	return m
}

// node is an operator with its inputs and its output.
type node struct {
	operator, name string
	inputs         []string
	output         string
	attributes     []attribute
}

// proto is the node as a NodeProto.
func (n node) proto() message {
	var m message
	for _, input := range n.inputs {
		m.text(1, input)
	}
	m.text(2, n.output)
	m.text(3, n.name)
	m.text(4, n.operator)
	for _, a := range n.attributes {
		m.message(5, a.proto())
	}
	return m
}

// tensorProto is a constant, with its elements little-endian and row-major.
func tensorProto(name string, shape []int, elementType int64, raw []byte) message {
	var m message
	for _, extent := range shape {
		m.integer(1, int64(extent))
	}
	m.integer(2, elementType)
	m.text(8, name)
	m.bytes(9, raw)
	return m
}

func float32Bytes(values []float32) []byte {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

// proto is the value as a ValueInfoProto.
func (v Value) proto() message {
	var shape, tensor, ofTensor, m message
	for _, extent := range v.Shape {
		var dimension message
		if number, err := strconv.ParseInt(extent, 10, 64); err == nil {
			dimension.integer(1, number)
		} else {
			dimension.text(2, extent)
		}
		shape.message(1, dimension)
	}
	tensor.integer(1, typeFloat32)
	tensor.message(2, shape)
	ofTensor.message(1, tensor)
	m.text(1, v.Name)
	m.message(2, ofTensor)
	m.text(3, v.Doc)
	return m
}

// message is a protocol buffer as a list of pieces to be written one after the other: an
// embedded message is preceded by its length, and weights of many megabytes must not be
// copied for each message around them.
type message struct {
	pieces [][]byte
	size   int // bytes of all pieces
}

func (m *message) add(piece []byte) {
	m.pieces = append(m.pieces, piece)
	m.size += len(piece)
}

// integer writes an int32, an int64 or an enumeration.
func (m *message) integer(field protowire.Number, value int64) {
	m.add(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), uint64(value)))
}

func (m *message) float(field protowire.Number, value float32) {
	m.add(protowire.AppendFixed32(protowire.AppendTag(nil, field, protowire.Fixed32Type), math.Float32bits(value)))
}

func (m *message) text(field protowire.Number, value string) { m.bytes(field, []byte(value)) }

// bytes writes a byte string; it keeps the slice.
func (m *message) bytes(field protowire.Number, value []byte) {
	m.begin(field, len(value))
	m.add(value)
}

// message writes a message within this one.
func (m *message) message(field protowire.Number, value message) {
	m.begin(field, value.size)
	m.pieces = append(m.pieces, value.pieces...)
	m.size += value.size
}

func (m *message) begin(field protowire.Number, length int) {
	m.add(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.BytesType), uint64(length)))
}
