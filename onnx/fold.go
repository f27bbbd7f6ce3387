package onnx

import (
	"math"
	"slices"

	"github.com/pkg/errors"
)

// batchSize stands for the unknown number of images where a shape is a value.
const batchSize = math.MinInt64

// source is the graph of a file while it is read: its nodes by the tensors that they give,
// and the tensors whose values do not depend on pixels.
type source struct {
	nodes     []*operator // in an order in which every node follows those that it depends on
	by        map[string]*operator
	output    string
	operators int64
	arrays    map[string]*array
	constants map[string]*constant
	// static are the tensors that are computed from constants and shapes alone.
	static map[string]bool
	// shapes are those of the tensors that have been converted, the batch size first.
	shapes map[string][]int64
	budget int  // elements that folding may still compute
	trial  bool // the batch size is trialBatch, see valueFor
	trials map[string]*constant
}

// trialBatch is the batch size for which values are computed that depend on it.
const trialBatch = 3

// foldable is how deep computations of constants may be nested.
const foldable = 64

// value returns the value of a static tensor.
func (s *source) value(name string) (*constant, error) { return s.fold(name, 0) }

// valueFor returns the value of a static tensor that depends on the batch size, for a batch of
// trialBatch images where the file leaves the size open.
func (s *source) valueFor(name string) (*constant, error) {
	s.constants, s.trials, s.trial = s.trials, s.constants, true
	c, err := s.value(name)
	s.constants, s.trials, s.trial = s.trials, s.constants, false
	return c, err
}

func (s *source) fold(name string, depth int) (*constant, error) {
	if c := s.constants[name]; c != nil {
		return c, nil
	}
	var c *constant
	if a := s.arrays[name]; a != nil {
		c = a.decode()
		s.constants[name] = c
		return c, nil
	}
	o := s.by[name]
	if o == nil || !s.static[name] {
		return nil, errors.Errorf("%q is computed from the images, expected a constant", name)
	}
	if depth == foldable {
		return nil, o.errorf("more than %d operators compute a constant", foldable)
	}
	if o.kind == "Shape" {
		c, err := s.shape(o)
		if err != nil {
			return nil, err
		}
		s.constants[name] = c
		return c, nil
	}
	var x []*constant
	for _, input := range o.inputs {
		if input == "" {
			x = append(x, nil)
			continue
		}
		value, err := s.fold(input, depth+1)
		if err != nil {
			return nil, err
		}
		x = append(x, value)
	}
	c, err := s.apply(o, x)
	if err != nil {
		return nil, err
	}
	for i := range c.shape {
		if c.shape[i] < 0 {
			return nil, o.errorf("found the shape %v", c.shape)
		}
	}
	s.constants[name] = c
	return c, nil
}

// shape is the value of a Shape operator.
func (s *source) shape(o *operator) (*constant, error) {
	a := o.settings()
	start, end := a.integer("start", 0), a.integer("end", math.MaxInt32)
	if err := a.done(); err != nil {
		return nil, err
	}
	var shape []int64
	if of := o.operand(0); s.static[of] {
		c, err := s.value(of)
		if err != nil {
			return nil, err
		}
		for _, extent := range c.shape {
			shape = append(shape, int64(extent))
		}
	} else if shape = s.shapes[of]; shape == nil {
		return nil, o.errorf("the shape of %q is not known here", of)
	}
	if shape = slices.Clone(shape); s.trial {
		for i, extent := range shape {
			if extent == batchSize {
				shape[i] = trialBatch
			}
		}
	}
	from, to := within(start, len(shape)), within(end, len(shape))
	return integerList(shape[from:max(from, to)]), nil
}

// within is a position in a list, which may be counted from its end.
func within(position, length int) int {
	if position < 0 {
		position += length
	}
	return min(max(position, 0), length)
}

func integerList(list []int64) *constant {
	return &constant{shape: []int{len(list)}, integers: list}
}

// apply computes an operator on constants: what exporters write to compute shapes and to
// rearrange weights.
func (s *source) apply(o *operator, x []*constant) (*constant, error) {
	inputs := map[string][2]int{
		"Constant": {0, 0}, "Identity": {1, 1}, "Cast": {1, 1}, "Gather": {2, 2}, "Concat": {1, 64}, "Unsqueeze": {1, 2}, "Squeeze": {1, 2},
		"Slice": {1, 5}, "Reshape": {2, 2}, "Transpose": {1, 1}, "Add": {2, 2}, "Sub": {2, 2}, "Mul": {2, 2}, "Div": {2, 2}, "Neg": {1, 1}, "Range": {3, 3}, "ConstantOfShape": {1, 1},
		"Sqrt": {1, 1}, "Reciprocal": {1, 1}, "Exp": {1, 1},
	}
	limits, known := inputs[o.kind]
	if !known || o.domain != "" {
		return nil, o.errorf("this operator on constants is not supported")
	}
	if len(x) < limits[0] || len(x) > limits[1] {
		return nil, o.errorf("found %d inputs", len(x))
	}
	for i, c := range x {
		if c == nil && (i < limits[0] || o.kind == "Concat") {
			return nil, o.errorf("input %d is missing", i+1)
		}
	}
	switch o.kind {
	case "Constant":
		return o.constant()
	case "Identity":
		return x[0], nil
	case "Cast":
		return s.cast(o, x[0])
	case "Gather":
		return s.gather(o, x[0], x[1])
	case "Concat":
		return s.concat(o, x)
	case "Unsqueeze", "Squeeze":
		return o.squeeze(x)
	case "Slice":
		return s.slice(o, x)
	case "Reshape":
		shape, err := reshaped(o, x)
		return &constant{shape: shape, floats: x[0].floats, integers: x[0].integers, isFloat: x[0].isFloat}, err
	case "Transpose":
		return s.transpose(o, x[0])
	case "ConstantOfShape":
		return s.filled(o, x[0])
	case "Range":
		return s.sequence(o, x)
	case "Neg", "Sqrt", "Reciprocal", "Exp":
		return s.unary(o, x[0])
	}
	return s.arithmetic(o, x[0], x[1])
}

// spend takes elements from the budget, so that a small file cannot fold constants of any
// size.
func (s *source) spend(o *operator, elements int) error {
	if elements > s.budget {
		return o.errorf("the computed constants have too many elements")
	}
	s.budget -= elements
	return nil
}

// constant is the value of a Constant operator.
func (o *operator) constant() (*constant, error) {
	if len(o.attributes) != 1 {
		return nil, o.errorf("found %d attributes, expected one, the value", len(o.attributes))
	}
	switch a := o.attributes[0]; {
	case a.name == "value" && a.tensor != nil:
		return a.tensor.decode(), nil
	case a.name == "value_float":
		return &constant{floats: []float32{a.float}, isFloat: true}, nil
	case a.name == "value_int":
		return &constant{integers: []int64{a.integer}}, nil
	case a.name == "value_floats":
		return &constant{shape: []int{len(a.floats)}, floats: a.floats, isFloat: true}, nil
	case a.name == "value_ints":
		return integerList(a.list), nil
	default:
		return nil, o.errorf("found the attribute %q, expected a value of numbers", a.name)
	}
}

func (s *source) cast(o *operator, x *constant) (*constant, error) {
	a := o.settings()
	to := int64(a.integer("to", 0))
	a.integer("saturate", 1)
	if err := a.done(); err != nil {
		return nil, err
	}
	toFloat := to == typeFloat32 || to == typeFloat64 || to == typeFloat16
	switch {
	case toFloat && x.isFloat, !x.isFloat && to == typeInt64:
		return x, nil
	case toFloat:
		if err := s.spend(o, x.size()); err != nil {
			return nil, err
		}
		c := &constant{shape: x.shape, floats: make([]float32, len(x.integers)), isFloat: true}
		for i, v := range x.integers {
			if v == batchSize {
				return nil, o.errorf("found the batch size, expected a number")
			}
			c.floats[i] = float32(v)
		}
		return c, nil
	}
	return nil, o.errorf("found a conversion to %s, expected one between floating-point types or to int64", typeName(to))
}
