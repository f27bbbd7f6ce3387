package gradcheck_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gorgonia.org/gorgonia"
)

// logCosh is a user-defined operation, y = log(cosh(x)). Its gradient is that of x²/2
// where mistaken is set.
type logCosh[T graph.Float] struct{ mistaken bool }

func (logCosh[T]) Forward(y []T, x ...[]T) {
	for i, v := range x[0] {
		y[i] = T(math.Log(math.Cosh(float64(v))))
	}
}

func (f logCosh[T]) Backward(dx, x [][]T, y, dy []T) {
	for i, v := range x[0] {
		slope := T(math.Tanh(float64(v)))
		if f.mistaken {
			slope = v
		}
		dx[0][i] = dy[i] * slope
	}
}

// The gradient of a Function is compared with finite differences: its operand is a
// weight, by which the graph is differentiated.
func ExampleFind() {
	for _, mistaken := range []bool{false, true} {
		weights := graph.NewWeights(graph.Float64, 1)
		wrong := gradcheck.Find(weights, nil, func(b *graph.Builder) graph.Outputs {
			x := b.Weight("x", graph.Bias, graph.Normal(0, 1), 5)
			y := b.Apply("log cosh", x.Shape(), nil, logCosh[float64]{mistaken}, x)
			return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(y))}
		})
		fmt.Println(mistaken, len(wrong) > 0)
	}
	// Output:
	// false false
	// true true
}

// errorList collects what Check reports.
type errorList []string

func (*errorList) Helper()                  {}
func (l *errorList) Error(arguments ...any) { *l = append(*l, fmt.Sprint(arguments...)) }

func TestCheckReports(t *testing.T) {
	draw := func(mistaken bool) func(b *graph.Builder) graph.Outputs {
		return func(b *graph.Builder) graph.Outputs {
			y := b.Apply("log cosh", []int{2, 3}, nil, logCosh[float64]{mistaken}, b.Weight("x", graph.Bias, graph.Normal(0, 1), 2, 3))
			scaled := b.Node(gorgonia.HadamardProd(y, b.Input("factors", 2, 3)))
			return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(scaled))}
		}
	}
	factors := map[string][]float64{"factors": {1, 2, 3, 4, 5, 6}}
	gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), factors, draw(false))
	for name, test := range map[string]struct {
		mistaken bool
		inputs   map[string][]float64
		expected string
	}{
		"a wrong gradient": {true, factors, "gradient of x["},
		"a wrong input":    {false, map[string][]float64{"factors": {1}}, "factors"},
		"a missing input":  {false, map[string][]float64{"images": {1}}, "images"},
	} {
		var found errorList
		gradcheck.Check(&found, graph.NewWeights(graph.Float64, 1), test.inputs, draw(test.mistaken))
		if len(found) == 0 || !strings.Contains(found[0], test.expected) {
			t.Errorf("%s: found %q, expected an error with %q", name, found, test.expected)
		}
	}
	var found errorList
	gradcheck.Check(&found, graph.NewWeights(graph.Float32, 1), nil, draw(false))
	if len(found) != 1 || !strings.Contains(found[0], "Float64") {
		t.Errorf("weights of float32: found %q, expected one error about Float64", found)
	}
}

// Perturb depends on the names alone, and moves every weight.
func TestPerturb(t *testing.T) {
	perturbed := func(name string) *graph.Weights {
		weights := graph.NewWeights(graph.Float32, 1)
		program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			x := b.Input("images", 1, 6, 6, 1)
			return graph.Outputs{"y": b.Sequence([]graph.Block{graph.Conv{Filters: 2, Kernel: 3, BatchNorm: true}}, x)}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := program.Close(); err != nil {
			t.Fatal(err)
		}
		if name != "" {
			gradcheck.Perturb(weights, name)
		}
		return weights
	}
	first, again, other, initial := perturbed("a"), perturbed("a"), perturbed("b"), perturbed("")
	for _, weight := range first.All() {
		for i, v := range weight.Value.Float32s() {
			at := func(weights *graph.Weights) float32 { return weights.Get(weight.Name).Value.Float32s()[i] }
			if v != at(again) || v == at(other) || v == at(initial) {
				t.Errorf("%s[%d]: found %v, %v again, %v of another name, %v initially", weight.Name, i, v, at(again), at(other), at(initial))
			}
		}
	}
}
