package onnx_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/likeness-go/likeness/onnx"
	"google.golang.org/protobuf/encoding/protowire"
)

// fields are those of a message, by number, each in the order of the file: an
// integer or the bytes of a text, an array or a message.
type fields map[protowire.Number][]field

type field struct {
	integer uint64
	bytes   []byte
}

// parse reads a message. The files hold nothing but varints and bytes.
func parse(t *testing.T, data []byte) fields {
	t.Helper()
	found := fields{}
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		data = data[n:]
		var f field
		switch kind {
		case protowire.VarintType:
			f.integer, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		default:
			t.Fatalf("field %d is of wire type %d", number, kind)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		data = data[n:]
		found[number] = append(found[number], f)
	}
	return found
}

func (f fields) integer(number protowire.Number) int64 { return int64(f[number][0].integer) }

func (f fields) text(number protowire.Number) string { return string(f[number][0].bytes) }

func (f fields) texts(number protowire.Number) []string {
	var texts []string
	for _, each := range f[number] {
		texts = append(texts, string(each.bytes))
	}
	return texts
}

// file is an ONNX file as a reader sees it; the numbers of fields are those of
// onnx.proto.
type file struct {
	version, operators int64
	graph              string
	nodes              []operation
	constants          map[string]array
	inputs, outputs    []string // names
	docs               map[string]string
	metadata           map[string]string
}

type operation struct {
	operator       string
	inputs, output []string
	attributes     map[string][]int
}

func decode(t *testing.T, model *onnx.Model) file {
	t.Helper()
	var content bytes.Buffer
	if _, err := model.WriteTo(&content); err != nil {
		t.Fatal(err)
	}
	top := parse(t, content.Bytes())
	graph := parse(t, top[7][0].bytes)
	found := file{
		version: top.integer(1), operators: parse(t, top[8][0].bytes).integer(2), graph: graph.text(2),
		constants: map[string]array{}, docs: map[string]string{}, metadata: map[string]string{},
	}
	for _, f := range graph[1] {
		found.nodes = append(found.nodes, decodeNode(t, f.bytes))
	}
	for _, f := range graph[5] {
		tensor := parse(t, f.bytes)
		found.constants[tensor.text(8)] = decodeTensor(t, tensor)
	}
	for _, f := range top[14] {
		entry := parse(t, f.bytes)
		found.metadata[entry.text(1)] = entry.text(2)
	}
	values := func(number protowire.Number) (names []string) {
		for _, f := range graph[number] {
			info := parse(t, f.bytes)
			names = append(names, info.text(1))
			found.docs[info.text(1)] = info.text(3)
		}
		return names
	}
	found.inputs, found.outputs = values(11), values(12)
	return found
}

func decodeNode(t *testing.T, data []byte) operation {
	node := parse(t, data)
	found := operation{operator: node.text(4), inputs: node.texts(1), output: node.texts(2), attributes: map[string][]int{}}
	for _, f := range node[5] {
		attribute := parse(t, f.bytes)
		name := attribute.text(1)
		switch attribute.integer(20) {
		case 2:
			found.attributes[name] = []int{int(attribute.integer(3))}
		case 7:
			for _, value := range attribute[8] {
				found.attributes[name] = append(found.attributes[name], int(value.integer))
			}
		default:
			t.Fatalf("attribute %s is of type %d", name, attribute.integer(20))
		}
	}
	return found
}

func decodeTensor(t *testing.T, tensor fields) array {
	var shape []int
	for _, extent := range tensor[1] {
		shape = append(shape, int(extent.integer))
	}
	a := newArray(shape...)
	raw := tensor[9][0].bytes
	for i := range a.data {
		switch tensor.integer(2) {
		case 1:
			a.data[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
		case 7:
			a.data[i] = float64(int64(binary.LittleEndian.Uint64(raw[8*i:])))
		default:
			t.Fatalf("constant %s is of type %d", tensor.text(8), tensor.integer(2))
		}
	}
	return a
}
