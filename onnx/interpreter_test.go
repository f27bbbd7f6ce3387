package onnx_test

import (
	"fmt"
	"math"
	"testing"
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
		return convolve(x, o.attributes), nil
	case "Gemm":
		if o.attributes["transB"][0] != 1 {
			return array{}, fmt.Errorf("a weight of (features, units)")
		}
		return multiply(x), nil
	case "BatchNormalization":
		return normalizeChannels(x), nil
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
