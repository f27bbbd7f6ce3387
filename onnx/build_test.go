package onnx_test

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"github.com/likeness-go/likeness/internal/random"
	"google.golang.org/protobuf/encoding/protowire"
)

// build writes an ONNX file of a text with one line for each node or constant:
//
//	Conv x w -> y strides=[2,2] auto_pad=SAME_UPPER    a node with its inputs, outputs and attributes
//	w: 4 3 3 3                                         a constant of random numbers by its shape
//	k = 0 3 -1                                         a constant list of integers
//	s = 0.5                                            a constant of one number
//
// An input "-" is left out. The input of the graph is x, of the given shape, where 0 stands for
// an open dimension; the output is y.
func build(text string, shape ...int) []byte {
	var graph []byte
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case strings.HasSuffix(words[0], ":"):
			graph = appendMessage(graph, 5, randomTensor(strings.TrimSuffix(words[0], ":"), words[1:]))
		case words[1] == "=":
			graph = appendMessage(graph, 5, givenTensor(words[0], words[2:]))
		default:
			graph = appendMessage(graph, 1, buildNode(words))
		}
	}
	graph = appendMessage(graph, 2, []byte("test"))
	var dimensions []byte
	for _, extent := range shape {
		var dimension []byte
		if extent > 0 {
			dimension = appendInteger(nil, 1, int64(extent))
		}
		dimensions = appendMessage(dimensions, 1, dimension)
	}
	tensor := appendMessage(appendInteger(nil, 1, 1), 2, dimensions)
	graph = appendMessage(graph, 11, appendMessage(appendMessage(appendMessage(nil, 1, []byte("x")), 2, appendMessage(nil, 1, tensor)), 3, nil))
	graph = appendMessage(graph, 12, appendMessage(appendMessage(nil, 1, []byte("y")), 3, nil))
	file := appendInteger(nil, 1, 8)
	file = appendMessage(file, 8, appendInteger(nil, 2, 18))
	return appendMessage(file, 7, graph)
}

func appendMessage(to []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), content)
}

func appendInteger(to []byte, number protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, number, protowire.VarintType), uint64(v))
}

// buildNode writes a node, whose name is that of its output with a prefix.
func buildNode(words []string) []byte {
	kind, domain := words[0], ""
	if at := strings.LastIndexByte(kind, '.'); at >= 0 {
		domain, kind = kind[:at], kind[at+1:]
	}
	node := appendMessage(nil, 4, []byte(kind))
	node = appendMessage(node, 7, []byte(domain))
	outputs := false
	for _, word := range words[1:] {
		key, value, isAttribute := strings.Cut(word, "=")
		switch {
		case word == "->":
			outputs = true
		case isAttribute:
			node = appendMessage(node, 5, buildAttribute(key, value))
		case word == "-":
			node = appendMessage(node, 1, nil)
		case outputs:
			node = appendMessage(appendMessage(node, 2, []byte(word)), 3, []byte("node "+word))
		default:
			node = appendMessage(node, 1, []byte(word))
		}
	}
	return node
}

func buildAttribute(key, value string) []byte {
	attribute := appendMessage(nil, 1, []byte(key))
	if list, isList := strings.CutPrefix(value, "["); isList {
		for _, part := range strings.Split(strings.TrimSuffix(list, "]"), ",") {
			v, _ := strconv.ParseInt(part, 10, 64)
			attribute = appendInteger(attribute, 8, v)
		}
		return appendInteger(attribute, 20, 7)
	}
	if v, err := strconv.ParseInt(value, 10, 64); err == nil {
		return appendInteger(appendInteger(attribute, 3, v), 20, 2)
	}
	if v, err := strconv.ParseFloat(value, 32); err == nil {
		attribute = protowire.AppendFixed32(protowire.AppendTag(attribute, 2, protowire.Fixed32Type), math.Float32bits(float32(v)))
		return appendInteger(attribute, 20, 1)
	}
	return appendInteger(appendMessage(attribute, 4, []byte(value)), 20, 3)
}

func randomTensor(name string, shape []string) []byte {
	count := 1
	tensor := appendMessage(appendInteger(nil, 2, 1), 8, []byte(name))
	for _, word := range shape {
		extent, _ := strconv.Atoi(word)
		tensor = appendInteger(tensor, 1, int64(extent))
		count *= extent
	}
	var raw []byte
	r := random.New(1, name)
	for range count {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(r.Float64()+0.1))) // above 0, as a variance must be
	}
	return appendMessage(tensor, 9, raw)
}

// givenTensor is a list of integers, or one number without dimensions.
func givenTensor(name string, values []string) []byte {
	tensor := appendMessage(nil, 8, []byte(name))
	var raw []byte
	for _, word := range values {
		if v, err := strconv.ParseInt(word, 10, 64); err == nil {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
			continue
		}
		v, _ := strconv.ParseFloat(word, 32)
		raw = binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v)))
		return appendMessage(appendInteger(tensor, 2, 1), 9, raw)
	}
	return appendMessage(appendInteger(appendInteger(tensor, 1, int64(len(values))), 2, 7), 9, raw)
}
