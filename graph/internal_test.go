package graph

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// doubled is y = 2x; it panics at 13.
type doubled[T Float] struct{}

func (*doubled[T]) Forward(y []T, x ...[]T) {
	for i, v := range x[0] {
		if v == 13 {
			panic("13 is not doubled")
		}
		y[i] = 2 * v
	}
}

func (*doubled[T]) Backward(_, _ [][]T, _, _ []T) {}

func double(b *Builder, x *Node) *Node {
	return b.Apply("double", x.Shape().Clone(), &doubled[float32]{}, &doubled[float64]{}, x)
}

// Functions alone run in sequence; a graph with an operation of Gorgonia's own
// runs on its machine, and gives the same.
func TestSequence(t *testing.T) {
	for name, draw := range map[string]func(b *Builder) Outputs{
		"functions": func(b *Builder) Outputs {
			x := b.Input("x", 2)
			y := double(b, x)
			return Outputs{"x": x, "y": y, "z": double(b, y)}
		},
		"stock": func(b *Builder) Outputs {
			x := b.Input("x", 2)
			y := double(b, x)
			return Outputs{"x": x, "y": y, "z": b.Node(gorgonia.Add(y, y))}
		},
	} {
		program, err := Build(NewWeights(Float32, 1), Evaluation, draw)
		if err != nil {
			t.Fatal(err)
		}
		if _, sequential := program.machine.(*sequence); sequential != (name == "functions") {
			t.Errorf("%s: the machine is a %T", name, program.machine)
		}
		for _, x := range [][]float32{{1, 2}, {3, 4}, {5, 6}} {
			if err := program.Set("x", x); err != nil {
				t.Fatal(err)
			}
			if err := program.Run(); err != nil {
				t.Fatal(err)
			}
			for output, factor := range map[string]float32{"x": 1, "y": 2, "z": 4} {
				got, err := program.Float32s(output)
				if err != nil || got[0] != factor*x[0] || got[1] != factor*x[1] {
					t.Errorf("%s: %s of %v is %v, %v", name, output, x, got, err)
				}
			}
			program.Reset()
			if _, err := program.Float32s("y"); err == nil {
				t.Errorf("%s: an output after Reset", name)
			}
		}
		program.Set("x", []float32{13, 1})
		if err := program.Run(); err == nil || !strings.Contains(err.Error(), "double: panic: 13 is not doubled (internal_test.go:18)") {
			t.Errorf("%s: found error %v, want one that names the function", name, err)
		}
		program.Set("x", []float32{1, 1})
		if err := program.Run(); err != nil {
			t.Errorf("%s: after an error: %v", name, err)
		}
		program.Close()
	}
}

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

// AllowWrongOperations lets Build accept the operations of Gorgonia's own that are
// wrong until the test ends, for tests that show what is wrong with them.
func AllowWrongOperations(t testing.TB) {
	refuse := refuseOperations
	refuseOperations = func(*gorgonia.ExprGraph) error { return nil }
	t.Cleanup(func() { refuseOperations = refuse })
}
