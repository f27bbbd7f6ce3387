package graph_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/random"
	"github.com/likeness-go/likeness/internal/testutil"
	"gorgonia.org/gorgonia"
)

// values are what tests set and get: elements in row-major order, by name.
type values map[string][]float64

func build(t testing.TB, weights *graph.Weights, mode graph.Mode, draw func(*graph.Builder) graph.Outputs) *graph.Program {
	t.Helper()
	program, err := graph.Build(weights, mode, draw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return program
}

func set(t testing.TB, program *graph.Program, inputs values) {
	t.Helper()
	for name, elements := range inputs {
		if err := program.Set(name, elements); err != nil {
			t.Fatal(err)
		}
	}
}

func run(t testing.TB, program *graph.Program) {
	t.Helper()
	if err := program.Run(); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, program *graph.Program, output string) []float64 {
	t.Helper()
	elements, err := program.Get(output)
	if err != nil {
		t.Fatal(err)
	}
	return elements
}

func gradients(t testing.TB, program *graph.Program) values {
	t.Helper()
	all := values{}
	for _, parameter := range program.Parameters() {
		elements, err := parameter.Elements()
		if err != nil {
			t.Fatal(err)
		}
		all[parameter.Name()] = elements
	}
	return all
}

// apply gives what blocks make of x, in a graph of the given mode.
func apply(t testing.TB, weights *graph.Weights, mode graph.Mode, blocks []graph.Block, x []float64, shape ...int) []float64 {
	t.Helper()
	program := build(t, weights, mode, func(b *graph.Builder) graph.Outputs {
		outputs := graph.Outputs{"y": b.Sequence(blocks, b.Input("x", shape...))}
		if mode == graph.Training { // which learns something, even where the blocks have no weights
			outputs[graph.Cost] = sumOfSquares(b, outputs["y"], weight(b, "learned", outputs["y"].Shape()...))
		}
		return outputs
	})
	set(t, program, values{"x": x})
	run(t, program)
	return get(t, program, "y")
}

// weight is a learned weight of normal values, a tensor that a test can
// differentiate by.
func weight(b *graph.Builder, name string, shape ...int) *graph.Node {
	return b.Weight(name, graph.Bias, graph.Normal(0, 1), shape...)
}

// sumOfSquares is Σ x², of the elementwise product of the factors x.
func sumOfSquares(b *graph.Builder, factors ...*graph.Node) *graph.Node {
	product := factors[0]
	for _, factor := range factors[1:] {
		product = b.Node(gorgonia.HadamardProd(product, factor))
	}
	return b.Node(gorgonia.Sum(b.Node(gorgonia.Square(product))))
}

// normal draws n numbers of mean 0 and deviation 1, the same for one name.
func normal(n int, name string) []float64 {
	r := random.New(1, "test", name)
	numbers := make([]float64, n)
	for i := range numbers {
		numbers[i] = r.NormFloat64()
	}
	return numbers
}

func weightValues(weights *graph.Weights) values {
	all := values{}
	for _, weight := range weights.All() {
		all[weight.Name] = elements(weight)
	}
	return all
}

// elements copies a weight's elements.
func elements(weight *graph.Weight) []float64 {
	if weight.Value.Dtype() == graph.Float64 {
		return append([]float64(nil), weight.Value.Float64s()...)
	}
	data := weight.Value.Float32s()
	wide := make([]float64, len(data))
	for i, v := range data {
		wide[i] = float64(v)
	}
	return wide
}

// expectEqual wants the same bits.
func expectEqual[V any](t testing.TB, what string, found, expected V) {
	t.Helper()
	if diff := cmp.Diff(expected, found); diff != "" {
		t.Errorf("%s (-expected +found):\n%s", what, diff)
	}
}

// expectNear wants a relative or absolute difference of at most the tolerance.
func expectNear[V any](t testing.TB, what string, found, expected V, tolerance float64) {
	t.Helper()
	if diff := cmp.Diff(expected, found, cmpopts.EquateApprox(tolerance, tolerance), cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("%s (-expected +found):\n%s", what, diff)
	}
}

// No test leaves a goroutine behind.
func TestMain(m *testing.M) { testutil.CheckGoroutines(m) }
