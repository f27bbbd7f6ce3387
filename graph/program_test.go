package graph_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// scaled is y = Σ over columns of w·x, for x (2, 3) and w (1, 3) of twos.
func scaled(t *testing.T, dtype tensor.Dtype) *graph.Program {
	return build(t, graph.NewWeights(dtype, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
		x := b.Input("x", 2, 3)
		b.Input("unused", 1)
		y := b.Sequence([]graph.Block{graph.Linear{Units: 1, NoBias: true, Weight: graph.Constant(2)}}, x)
		return graph.Outputs{"y": y, graph.Cost: b.Node(gorgonia.Sum(y))}
	})
}

func TestProgram(t *testing.T) {
	for _, dtype := range []tensor.Dtype{graph.Float32, graph.Float64} {
		program := scaled(t, dtype)
		for _, x := range []any{[]float32{1, 2, 3, 4, 5, 6}, []float64{1, 2, 3, 4, 5, 6}} {
			if err := program.Set("x", x); err != nil {
				t.Fatal(err)
			}
			run(t, program)
			expectEqual(t, "y", get(t, program, "y"), []float64{12, 30})
			narrow, err := program.Float32s("y")
			if err != nil {
				t.Fatal(err)
			}
			expectEqual(t, "y", narrow, []float32{12, 30})
			cost, err := program.Scalar(graph.Cost)
			if err != nil || cost != 42 {
				t.Errorf("found cost %v and error %v, expected 42", cost, err)
			}
			expectEqual(t, "gradient", gradients(t, program), values{"linear1.weight": {5, 7, 9}})
		}
	}
}

// What a program gives is a copy, and so is what it takes.
func TestProgramCopies(t *testing.T) {
	program := scaled(t, graph.Float64)
	x := []float64{1, 2, 3, 4, 5, 6}
	set(t, program, values{"x": x})
	x[0] = 100
	run(t, program)
	y := get(t, program, "y")
	expectEqual(t, "y", y, []float64{12, 30})
	y[0] = 100
	expectEqual(t, "y", get(t, program, "y"), []float64{12, 30})
	set(t, program, values{"x": x})
	expectEqual(t, "y of the last run", get(t, program, "y"), []float64{12, 30})
}

func TestProgramErrors(t *testing.T) {
	program := scaled(t, graph.Float64)
	expectError := func(what string, err error, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: found error %v, expected it to contain %q", what, err, part)
			}
		}
	}
	expectError("unknown input", program.Set("z", []float64{1}), `"z"`, `["unused" "x"]`)
	expectError("too few", program.Set("x", []float64{1}), `"x"`, "found 1 values, expected 6", "(2, 3)")
	expectError("too many", program.Set("x", make([]float32, 7)), `"x"`, "found 7 values, expected 6")
	expectError("integers", program.Set("x", make([]int, 6)), `"x"`, "[]int")

	readings := func() map[string]error {
		_, get := program.Get("y")
		_, narrow := program.Float32s("y")
		_, scalar := program.Scalar(graph.Cost)
		_, gradient := program.Parameters()[0].Elements()
		return map[string]error{`"y"`: get, `output "y"`: narrow, `"cost"`: scalar, `"linear1.weight"`: gradient}
	}
	for name, err := range readings() {
		expectError("before a run", err, name, "call Run first")
	}
	run(t, program)
	for name, err := range readings() {
		if err != nil {
			t.Errorf("%s after a run: %v", name, err)
		}
	}
	_, err := program.Get("z")
	expectError("unknown output", err, `"z"`, `["cost" "y"]`)
	_, err = program.Scalar("y")
	expectError("no scalar", err, `"y"`, "2 elements")

	program.Reset()
	for name, err := range readings() {
		expectError("after a reset", err, name, "call Run first")
	}
	run(t, program)
	expectEqual(t, "y", get(t, program, "y"), []float64{0, 0})
}

// A step is counted when its run succeeds.
func TestStep(t *testing.T) {
	fragile := &fragile{}
	program := build(t, graph.NewWeights(graph.Float64, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{graph.Cost: sumOfSquares(b, fragile.apply(b, weight(b, "w", 2)))}
	})
	steps := []uint64{program.Step()}
	run(t, program)
	steps = append(steps, program.Step())
	fragile.forward = true
	if program.Run() == nil {
		t.Fatal("the run did not fail")
	}
	fragile.forward = false
	steps = append(steps, program.Step())
	program.SetStep(40)
	run(t, program)
	expectEqual(t, "steps", append(steps, program.Step()), []uint64{0, 1, 1, 41})
}

// An evaluation graph needs no cost and has no gradients.
func TestEvaluationHasNoGradients(t *testing.T) {
	weights := graph.NewWeights(graph.Float64, 1)
	program := build(t, weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		if b.Mode() != graph.Evaluation || b.Dtype() != graph.Float64 {
			t.Errorf("found mode %v and arithmetic %v", b.Mode(), b.Dtype())
		}
		return graph.Outputs{"y": b.Sequence([]graph.Block{graph.Linear{Units: 2}}, b.Input("x", 2, 3))}
	})
	run(t, program)
	if n := len(program.Parameters()); n != 0 {
		t.Errorf("found %d gradients", n)
	}
	if shape := program.Input("x"); !shape.Eq(tensor.Shape{2, 3}) {
		t.Errorf("found shape %v, expected (2, 3)", shape)
	}
	if shape := program.Input("y"); shape != nil {
		t.Errorf("found shape %v of an input that is none", shape)
	}
	if program.Weights() != weights {
		t.Error("the program has other weights than it was built on")
	}
}

// A parameter is what Gorgonia's solvers take.
func TestParameters(t *testing.T) {
	program := scaled(t, graph.Float64)
	set(t, program, values{"x": {1, 2, 3, 4, 5, 6}})
	run(t, program)
	parameter := program.Parameters()[0]
	if parameter.Name() != "linear1.weight" || parameter.Role() != graph.Kernel || !parameter.Decays() {
		t.Errorf("found %s, a %v, decays %v", parameter.Name(), parameter.Role(), parameter.Decays())
	}
	solver := gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.5))
	if err := solver.Step(program.Gradients()); err != nil {
		t.Fatal(err)
	}
	expectEqual(t, "weight", elements(program.Weights().Get("linear1.weight")), []float64{2 - 2.5, 2 - 3.5, 2 - 4.5})
}

// Gorgonia's solvers zero a gradient once they have used it. Two weights may
// have one gradient, or the one a view of the other's: each keeps its own.
func TestGradientsAreApart(t *testing.T) {
	graph.AllowWrongOperations(t) // Reshape, whose gradient is a view
	for _, shape := range [][]int{{1, 2}, {2}} {
		weights := graph.NewWeights(graph.Float64, 1)
		program := build(t, weights, graph.Training, func(b *graph.Builder) graph.Outputs {
			first := b.Weight("first", graph.Bias, graph.Constant(0), 1, 2)
			second := b.Weight("second", graph.Bias, graph.Constant(0), shape...)
			if len(shape) == 1 {
				second = b.Node(gorgonia.Reshape(second, tensor.Shape{1, 2}))
			}
			sum := b.Node(gorgonia.Add(first, second))
			return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(b.Node(gorgonia.HadamardProd(sum, b.Input("x", 1, 2)))))}
		})
		set(t, program, values{"x": {3, 5}})
		run(t, program)
		expected := values{"first": {3, 5}, "second": {3, 5}}
		expectEqual(t, "gradients", gradients(t, program), expected)
		if err := gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(-1)).Step(program.Gradients()); err != nil {
			t.Fatal(err)
		}
		expectEqual(t, "weights", weightValues(weights), expected)
	}
}

// childVariable marks the process that TestEnvironmentIsChecked starts: the
// variables are read when a program starts.
const childVariable = "LIKENESS_TEST_CHILD"

// An unknown value of an environment variable is an error of Build that
// names the variable, what was found and what is expected.
func TestEnvironmentIsChecked(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		_, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			return graph.Outputs{"x": graph.Activate{Function: "relu"}.Apply(b, 1, b.Input("images", 1, 2))}
		})
		if (err == nil) != (graph.EnvironmentError() == nil) {
			t.Fatalf("Build: %v, EnvironmentError: %v", err, graph.EnvironmentError())
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	for setting, want := range map[string]string{
		"LIKENESS_INSTRUCTIONS=bogus":    `environment variable LIKENESS_INSTRUCTIONS: found "bogus", expected one of avx512, avx2, neon, portable`,
		"LIKENESS_WINOGRAD=OFF":          `environment variable LIKENESS_WINOGRAD: found "OFF", expected on or off`,
		"LIKENESS_FOURIER=0":             `environment variable LIKENESS_FOURIER: found "0", expected on or off`,
		"LIKENESS_INSTRUCTIONS=portable": "",
		"LIKENESS_INSTRUCTIONS=":         "",
		"LIKENESS_WINOGRAD=on":           "",
		"LIKENESS_FOURIER=off":           "",
		// No processor has all of them: one that is lacking is no error.
		"LIKENESS_INSTRUCTIONS=neon":   "",
		"LIKENESS_INSTRUCTIONS=avx512": "",
	} {
		child := exec.Command(os.Args[0], "-test.run=^TestEnvironmentIsChecked$")
		child.Env = append(os.Environ(), childVariable+"=1", setting)
		output, err := child.CombinedOutput()
		if (err == nil) != (want == "") || !strings.Contains(string(output), want) {
			t.Errorf("%s: %v, expected %q:\n%s", setting, err, want, output)
		}
	}
}

// Fill sets an input like Set, in a graph of either element type.
func TestFill(t *testing.T) {
	for _, dtype := range []tensor.Dtype{graph.Float32, graph.Float64} {
		program := scaled(t, dtype)
		for _, x := range [][]float32{{1, 2, 3, 4, 5, 6}, {-1, 0, 0, 0, 0, 7}} {
			if err := program.Fill("x", func(values []float32) { copy(values, x) }); err != nil {
				t.Fatal(err)
			}
			run(t, program)
			y, err := program.Float32s("y")
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range y {
				if want := 2 * (x[3*i] + x[3*i+1] + x[3*i+2]); got != want {
					t.Errorf("%v, row %d: got %v, want %v", dtype, i, got, want)
				}
			}
		}
		if err := program.Fill("z", func([]float32) {}); err == nil || !strings.Contains(err.Error(), `["unused" "x"]`) {
			t.Errorf("an unknown input: found error %v", err)
		}
		if err := program.Fill("x", nil); err == nil || !strings.Contains(err.Error(), "nil") {
			t.Errorf("no function: found error %v", err)
		}
	}
}
