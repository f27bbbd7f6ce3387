package onnx_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/likeness-go/likeness/onnx"
	"google.golang.org/protobuf/encoding/protowire"
)

// array is row-major; an interpreter of nothing but arrays of float64 is slow
// and can be read beside https://onnx.ai/onnx/operators.
type array struct {
	shape []int
	data  []float64
}

func newArray(shape ...int) array {
	size := 1
	for _, extent := range shape {
		size *= extent
	}
	return array{shape, make([]float64, size)}
}

// evaluate runs the file's graph on the inputs and gives its outputs.
func (f file) evaluate(t *testing.T, inputs map[string]array) map[string]array {
	t.Helper()
	values := map[string]array{}
	for name, a := range f.constants {
		values[name] = a
	}
	for _, name := range f.inputs {
		values[name] = inputs[name]
	}
	for _, node := range f.nodes {
		var operands []array
		for _, name := range node.inputs {
			operand, known := values[name]
			if !known {
				t.Fatalf("%s takes %q, which nothing before it gives", node.operator, name)
			}
			operands = append(operands, operand)
		}
		if _, twice := values[node.output[0]]; twice {
			t.Fatalf("two values are named %q", node.output[0])
		}
		result, err := node.apply(operands)
		if err != nil {
			t.Fatalf("%v: %v", node.output, err)
		}
		values[node.output[0]] = result
	}
	outputs := map[string]array{}
	for _, name := range f.outputs {
		outputs[name] = values[name]
	}
	return outputs
}

// apply is one operator; see also layers_test.go.
func (o operation) apply(x []array) (array, error) {
	switch o.operator {
	case "Conv":
		return convolve(x, o)
	case "Gemm":
		if o.attributes["transB"][0] != 1 {
			return array{}, fmt.Errorf("a weight of (features, units)")
		}
		return multiply(x), nil
	case "BatchNormalization":
		epsilon, given := o.numbers["epsilon"]
		if !given {
			epsilon = 1e-5
		}
		return normalizeChannels(x, epsilon), nil
	case "LayerNormalization":
		if axis := o.attributes["axis"]; len(axis) != 1 || axis[0] != -1 {
			return array{}, fmt.Errorf("normalization over the axes from %v", axis)
		}
		return normalizeLast(x, o.numbers["epsilon"]), nil
	case "Transpose":
		return transpose(x[0], o.attributes["perm"]), nil
	case "Clip":
		y := broadcast(x[0], x[1], math.Max)
		if len(x) > 2 {
			y = broadcast(y, x[2], math.Min)
		}
		return y, nil
	case "HardSigmoid":
		return each(x[0], func(v float64) float64 { return min(max(o.numbers["alpha"]*v+o.numbers["beta"], 0), 1) }), nil
	case "HardSwish":
		return each(x[0], func(v float64) float64 { return v * min(max(v/6+0.5, 0), 1) }), nil
	case "Erf":
		return each(x[0], math.Erf), nil
	case "MaxPool":
		return pool(x[0], o.attributes, math.Inf(-1), math.Max), nil
	case "AveragePool":
		sums := pool(x[0], o.attributes, 0, func(a, b float64) float64 { return a + b })
		window := o.attributes["kernel_shape"]
		return each(sums, func(v float64) float64 { return v / float64(window[0]*window[1]) }), nil
	case "GlobalAveragePool":
		pixels := float64(x[0].shape[2] * x[0].shape[3])
		sums := reduce(x[0], 2, true, func(sum, v float64) float64 { return sum + v })
		return array{[]int{x[0].shape[0], x[0].shape[1], 1, 1}, each(sums, func(v float64) float64 { return v / pixels }).data}, nil
	case "Flatten":
		return array{[]int{x[0].shape[0], len(x[0].data) / x[0].shape[0]}, x[0].data}, nil
	case "Relu":
		return each(x[0], func(v float64) float64 { return max(v, 0) }), nil
	case "Sigmoid":
		return each(x[0], func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }), nil
	case "Tanh":
		return each(x[0], math.Tanh), nil
	case "Sqrt":
		return each(x[0], math.Sqrt), nil
	case "Abs":
		return each(x[0], math.Abs), nil
	case "Where":
		chosen := broadcast(x[0], x[1], func(condition, v float64) float64 {
			if condition == 0 {
				return math.NaN()
			}
			return v
		})
		return broadcast(chosen, x[2], func(v, other float64) float64 {
			if math.IsNaN(v) {
				return other
			}
			return v
		}), nil
	}
	if f, ok := ofTwo[o.operator]; ok {
		return broadcast(x[0], x[1], f), nil
	}
	if r, ok := reductions[o.operator]; ok {
		if axes := x[1].data; len(axes) != 1 || axes[0] != -1 {
			return array{}, fmt.Errorf("%s over axes %v", o.operator, axes)
		}
		sums := reduce(x[0], len(x[0].shape)-1, o.attributes["keepdims"][0] == 1, r.add)
		if r.after != nil {
			sums = each(sums, r.after)
		}
		return sums, nil
	}
	return array{}, fmt.Errorf("operator %s is unknown", o.operator)
}

var ofTwo = map[string]func(a, b float64) float64{
	"Add": func(a, b float64) float64 { return a + b },
	"Sub": func(a, b float64) float64 { return a - b },
	"Mul": func(a, b float64) float64 { return a * b },
	"Div": func(a, b float64) float64 { return a / b },
	"Max": math.Max,
	"Min": math.Min,
	"Pow": math.Pow,
	"PRelu": func(v, slope float64) float64 {
		if v < 0 {
			return slope * v
		}
		return v
	},
	"Greater": func(a, b float64) float64 {
		if a > b {
			return 1
		}
		return 0
	},
}

// reductions begin at zero, which suits a maximum of magnitudes, too.
var reductions = map[string]struct {
	add   func(sum, v float64) float64
	after func(sum float64) float64
}{
	"ReduceSum":       {add: func(sum, v float64) float64 { return sum + v }},
	"ReduceL1":        {add: func(sum, v float64) float64 { return sum + math.Abs(v) }},
	"ReduceSumSquare": {add: func(sum, v float64) float64 { return sum + v*v }},
	"ReduceL2":        {add: func(sum, v float64) float64 { return sum + v*v }, after: math.Sqrt},
	"ReduceMax":       {add: math.Max},
}

// fields are those of a message, by number, each in the order of the file: an
// integer or the bytes of a text, an array or a message.
type fields map[protowire.Number][]field

type field struct {
	integer uint64
	bytes   []byte
}

// parse reads a message. The files hold nothing but varints, bytes and float32.
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
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(data)
			f.integer = uint64(bits)
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
	words          map[string]string  // attributes that are texts
	numbers        map[string]float64 // attributes that are one number
}

func decode(t *testing.T, model *onnx.Model) file {
	t.Helper()
	var content bytes.Buffer
	if _, err := model.WriteTo(&content); err != nil {
		t.Fatal(err)
	}
	return decodeFile(t, content.Bytes())
}

func decodeFile(t *testing.T, content []byte) file {
	t.Helper()
	top := parse(t, content)
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
	found := operation{operator: node.text(4), inputs: node.texts(1), output: node.texts(2), attributes: map[string][]int{}, words: map[string]string{}, numbers: map[string]float64{}}
	for _, f := range node[5] {
		attribute := parse(t, f.bytes)
		name := attribute.text(1)
		switch attribute.integer(20) {
		case 1:
			found.numbers[name] = float64(math.Float32frombits(uint32(attribute.integer(2))))
		case 2:
			found.attributes[name] = []int{int(attribute.integer(3))}
		case 3:
			found.words[name] = attribute.text(4)
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

// each applies f to every element.
func each(x array, f func(float64) float64) array {
	y := newArray(x.shape...)
	for i, v := range x.data {
		y.data[i] = f(v)
	}
	return y
}

// broadcast applies f to the elements of two arrays, in the manner of NumPy:
// shapes are aligned at their ends, and an extent of 1 goes with any.
func broadcast(x, y array, f func(x, y float64) float64) array {
	axes := max(len(x.shape), len(y.shape))
	shape := make([]int, axes)
	for axis := range shape {
		shape[axis] = max(extent(x, axis-axes), extent(y, axis-axes))
	}
	result := newArray(shape...)
	for i := range result.data {
		result.data[i] = f(at(x, i, shape), at(y, i, shape))
	}
	return result
}

// extent is that of an axis counted from the end: −1 is the last.
func extent(x array, axis int) int {
	if axis += len(x.shape); axis >= 0 {
		return x.shape[axis]
	}
	return 1
}

// at is the element of x that stands at a place in an array of the shape.
func at(x array, place int, shape []int) float64 {
	index, stride := 0, 1
	for axis := -1; axis >= -len(shape); axis-- {
		position := place % shape[len(shape)+axis]
		place /= shape[len(shape)+axis]
		if own := extent(x, axis); own > 1 {
			index += position * stride
			stride *= own
		}
	}
	return x.data[index]
}

// reduce adds up over all axes from the given one on.
func reduce(x array, axis int, keep bool, add func(sum, v float64) float64) array {
	y := newArray(x.shape[:axis]...)
	run := len(x.data) / len(y.data)
	for i, v := range x.data {
		y.data[i/run] = add(y.data[i/run], v)
	}
	if keep {
		y.shape = append(append([]int(nil), y.shape...), 1)
	}
	return y
}

// convolve takes x (batch, channels, height, width), the weight (filters,
// channels of a group, kernel, kernel) and perhaps a bias (filters).
func convolve(operands []array, o operation) (array, error) {
	x, weight := operands[0], operands[1]
	stride, kernel, groups := o.attributes["strides"][0], o.attributes["kernel_shape"][0], 1
	if given, ok := o.attributes["group"]; ok {
		groups = given[0]
	}
	height, width, channels := x.shape[2], x.shape[3], x.shape[1]/groups
	if weight.shape[1] != channels {
		return array{}, fmt.Errorf("a weight of shape %v for %d channels in %d groups", weight.shape, x.shape[1], groups)
	}
	pads := o.attributes["pads"] // above, left, below, right
	switch auto := o.words["auto_pad"]; {
	case auto == "SAME_UPPER" && pads == nil:
		for _, extent := range []int{height, width} {
			pads = append(pads, max(0, ((extent+stride-1)/stride-1)*stride+kernel-extent))
		}
		pads = []int{pads[0] / 2, pads[1] / 2, pads[0] - pads[0]/2, pads[1] - pads[1]/2}
	case auto != "" || len(pads) != 4:
		return array{}, fmt.Errorf("padding %q %v", auto, pads)
	}
	rows, columns := (height+pads[0]+pads[2]-kernel)/stride+1, (width+pads[1]+pads[3]-kernel)/stride+1
	y := newArray(x.shape[0], weight.shape[0], rows, columns)
	for place := range y.data {
		column, row := place%columns, place/columns%rows
		filter, image := place/columns/rows%weight.shape[0], place/columns/rows/weight.shape[0]
		sum := 0.0
		if len(operands) > 2 {
			sum = operands[2].data[filter]
		}
		first := filter / (weight.shape[0] / groups) * channels // of the filter's group
		for c := range channels {
			for i := range kernel {
				for j := range kernel {
					top, left := row*stride+i-pads[0], column*stride+j-pads[1]
					if top >= 0 && top < height && left >= 0 && left < width {
						sum += weight.data[((filter*channels+c)*kernel+i)*kernel+j] * x.data[((image*x.shape[1]+first+c)*height+top)*width+left]
					}
				}
			}
		}
		y.data[place] = sum
	}
	return y, nil
}

// pool folds each window of x (batch, channels, height, width), without what is outside.
func pool(x array, attributes map[string][]int, first float64, add func(a, b float64) float64) array {
	size, stride, padding := attributes["kernel_shape"][0], attributes["strides"][0], 0
	if pads := attributes["pads"]; pads != nil {
		padding = pads[0]
	}
	height, width := x.shape[2], x.shape[3]
	rows, columns := (height+2*padding-size)/stride+1, (width+2*padding-size)/stride+1
	y := newArray(x.shape[0], x.shape[1], rows, columns)
	for place := range y.data {
		column, row, plane := place%columns, place/columns%rows, place/columns/rows
		y.data[place] = first
		for i := range size {
			for j := range size {
				top, left := row*stride+i-padding, column*stride+j-padding
				if top >= 0 && top < height && left >= 0 && left < width {
					y.data[place] = add(y.data[place], x.data[(plane*height+top)*width+left])
				}
			}
		}
	}
	return y
}

// multiply is Gemm with the weight (units, features), and perhaps a bias.
func multiply(operands []array) array {
	x, weight := operands[0], operands[1]
	units, features := weight.shape[0], weight.shape[1]
	y := newArray(x.shape[0], units)
	for place := range y.data {
		if len(operands) > 2 {
			y.data[place] = operands[2].data[place%units]
		}
		for j := range features {
			y.data[place] += weight.data[place%units*features+j] * x.data[place/units*features+j]
		}
	}
	return y
}

// normalizeChannels is batch norm by the given mean and variance.
func normalizeChannels(operands []array, epsilon float64) array {
	x, channels := operands[0], operands[0].shape[1]
	y := newArray(x.shape...)
	pixels := len(x.data) / x.shape[0] / channels
	for i, v := range x.data {
		c := i / pixels % channels
		y.data[i] = operands[1].data[c]*(v-operands[3].data[c])/math.Sqrt(operands[4].data[c]+epsilon) + operands[2].data[c]
	}
	return y
}

// normalizeLast is layer norm of the last axis.
func normalizeLast(operands []array, epsilon float64) array {
	x, gain, shift := operands[0], operands[1].data, operands[2].data
	y, n := newArray(x.shape...), len(gain)
	for first := 0; first < len(x.data); first += n {
		mean, variance := 0.0, 0.0
		for _, v := range x.data[first:][:n] {
			mean += v / float64(n)
		}
		for _, v := range x.data[first:][:n] {
			variance += (v - mean) * (v - mean) / float64(n)
		}
		for c, v := range x.data[first:][:n] {
			y.data[first+c] = gain[c]*(v-mean)/math.Sqrt(variance+epsilon) + shift[c]
		}
	}
	return y
}

// transpose orders the axes as perm lists them.
func transpose(x array, perm []int) array {
	shape, strides := make([]int, len(perm)), make([]int, len(perm))
	stride := 1
	for axis := len(perm) - 1; axis >= 0; axis-- {
		for to, from := range perm {
			if from == axis {
				shape[to], strides[to] = x.shape[axis], stride
			}
		}
		stride *= x.shape[axis]
	}
	y := newArray(shape...)
	for place := range y.data {
		rest, from := place, 0
		for axis := len(shape) - 1; axis >= 0; axis-- {
			from += rest % shape[axis] * strides[axis]
			rest /= shape[axis]
		}
		y.data[place] = x.data[from]
	}
	return y
}
