package graph

import (
	"unsafe"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"github.com/pkg/errors"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Float is the element type of a graph. All nodes of a graph have the same element type,
// because Gorgonia merges constants of different types that print alike.
type Float interface{ float32 | float64 }

// Float32 is for training and inference, Float64 for gradient checks.
var (
	Float32 = tensor.Float32
	Float64 = tensor.Float64
)

// Node is a value of the expression graph, as Gorgonia defines it.
type Node = gorgonia.Node

// newDense returns a tensor of the shape over data, without a copy.
func newDense[T Float](data []T, shape tensor.Shape) *tensor.Dense {
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(data))
}

// engine is Gorgonia's, except that it adds two arrays on all threads: Gorgonia adds up the gradients of a node that
// several operations read, as that of a residual block's input.
type engine struct{ gorgonia.StandardEngine }

// Add returns a + b.
func (e engine) Add(a, b tensor.Tensor, options ...tensor.FuncOpt) (tensor.Tensor, error) {
	to, increments := tensor.ParseFuncOpts(options...).IncrReuse()
	if to != nil && !increments && to.Shape().Eq(a.Shape()) && (addArrays[float32](to, a, b) || addArrays[float64](to, a, b)) {
		return to, nil
	}
	return e.StdEng.Add(a, b, options...)
}

// addArrays writes to a tensor the sum of two others, and reports whether it did: if all are arrays of
// equal length, of T, in row-major order.
func addArrays[T Float](to, a, b tensor.Tensor) bool {
	var arrays [3][]T
	for i, t := range []tensor.Tensor{to, a, b} {
		data, ok := t.Data().([]T)
		if !ok || t.RequiresIterator() || !t.DataOrder().IsRowMajor() || len(data) != t.Shape().TotalSize() || len(data) != len(arrays[0]) && i > 0 {
			return false
		}
		arrays[i] = data
	}
	y, x1, x2 := arrays[0], arrays[1], arrays[2]
	if unsafe.SliceData(y) == unsafe.SliceData(x2) { // the first summand may be the result
		x1, x2 = x2, x1
	}
	kernel.AddActivate(kernel.Identity, y, nil, x1, x2, nil, 1)
	return true
}

// elements returns the elements of a value in row-major order. The slice is the
// memory of the value, unless the value is a transposed or sliced view or a scalar.
func elements[T Float](value gorgonia.Value) ([]T, error) {
	switch v := value.(type) {
	case *tensor.Dense:
		if v.RequiresIterator() || !v.DataOrder().IsRowMajor() {
			v = v.Materialize().(*tensor.Dense)
		}
		switch data := v.Data().(type) {
		case []T:
			return data, nil
		case T: // a tensor of shape ()
			return []T{data}, nil
		}
	case gorgonia.Scalar:
		if data, ok := v.Data().(T); ok {
			return []T{data}, nil
		}
	}
	return nil, errors.Errorf("found a value of type %T with elements %v, expected a dense tensor of %T", value, value.Dtype(), *new(T))
}

// float64s copies the elements of a value of either element type.
func float64s(value gorgonia.Value) ([]float64, error) {
	if value.Dtype() == Float32 {
		data, err := elements[float32](value)
		return convert[float64](data), err
	}
	data, err := elements[float64](value)
	return append([]float64(nil), data...), err
}

// float32s copies the elements of a value of either element type.
func float32s(value gorgonia.Value) ([]float32, error) {
	if value.Dtype() == Float64 {
		data, err := elements[float64](value)
		return convert[float32](data), err
	}
	data, err := elements[float32](value)
	return append([]float32(nil), data...), err
}

// store writes src into the tensor and converts it to its element type. The lengths
// must be equal. The data of a tensor of shape () is not a slice, but Float32s and
// Float64s return one.
func store[S Float](dst *tensor.Dense, src []S) {
	if dst.Dtype() == Float32 {
		data := dst.Float32s()
		for i, v := range src {
			data[i] = float32(v)
		}
		return
	}
	data := dst.Float64s()
	for i, v := range src {
		data[i] = float64(v)
	}
}

func convert[D, S Float](src []S) []D {
	dst := make([]D, len(src))
	for i, v := range src {
		dst[i] = D(v)
	}
	return dst
}
