package graph

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Whatever form an operation returns a value in, its elements are read in
// row-major order.
func TestElementsOfAnyValue(t *testing.T) {
	matrix := func() *tensor.Dense {
		return tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float64{1, 2, 3, 4, 5, 6}))
	}
	transposed := matrix()
	if err := transposed.T(); err != nil {
		t.Fatal(err)
	}
	columns, err := matrix().Slice(nil, gorgonia.S(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	scalar := gorgonia.F64(7)
	for name, test := range map[string]struct {
		value    gorgonia.Value
		expected []float64
	}{
		"matrix":             {matrix(), []float64{1, 2, 3, 4, 5, 6}},
		"transposed view":    {transposed, []float64{1, 4, 2, 5, 3, 6}},
		"view of columns":    {columns.(*tensor.Dense), []float64{2, 3, 5, 6}},
		"scalar":             {&scalar, []float64{7}},
		"tensor of shape ()": {tensor.New(tensor.FromScalar(8.)), []float64{8}},
	} {
		wide, err := float64s(test.value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.expected, wide); diff != "" {
			t.Errorf("%s (-expected +found):\n%s", name, diff)
		}
		if _, err := elements[float32](test.value); err == nil {
			t.Errorf("%s: elements of float64 were read as float32", name)
		}
	}
}
