package graph_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
)

// squared is the sum of the squares of x·weight, where x is a variable.
func squared(b *graph.Builder) graph.Outputs {
	x := b.Variable("x", 2, 3)
	weight := b.Weight("weight", graph.Kernel, graph.Constant(2), 1, 3)
	y := b.Node(gorgonia.HadamardProd(x, b.Node(gorgonia.Concat(0, weight, weight))))
	return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(b.Node(gorgonia.Square(y))))}
}

// The cost is Σ (2x)², so the gradient of x is 8x.
func TestVariable(t *testing.T) {
	program, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Training, squared)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if _, err := program.InputGradient("x"); err == nil {
		t.Error("found a gradient before the first run")
	}
	for _, factor := range []float32{1, -2} {
		x := []float32{0, 1, 2, 3, -4, 0.5}
		want := make([]float32, len(x))
		for i := range x {
			x[i] *= factor
			want[i] = 8 * x[i]
		}
		if err := program.Set("x", x); err != nil {
			t.Fatal(err)
		}
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		found, err := program.InputGradient("x")
		if err != nil || !slices.Equal(found, want) {
			t.Errorf("found the gradient %v and %v, expected %v", found, err, want)
		}
	}
	if _, err := program.InputGradient("y"); err == nil || !strings.Contains(err.Error(), `"y"`) {
		t.Errorf("found the error %v, expected that there is no variable y", err)
	}
	if len(program.Parameters()) != 1 {
		t.Errorf("found %d parameters, expected the weight only", len(program.Parameters()))
	}
}

// A variable that the cost does not depend on has no gradient.
func TestVariableWithoutGradient(t *testing.T) {
	_, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
		b.Variable("unused", 2)
		return squared(b)
	})
	if err == nil || !strings.Contains(err.Error(), `no gradient reaches input "unused"`) {
		t.Errorf("found the error %v, expected that no gradient reaches the input", err)
	}
}

// A convolution of a part has the gradients of any other but for rounding.
func TestPartRoundsOnly(t *testing.T) {
	var all [2][]float64
	for i := range all {
		weights := graph.NewWeights(graph.Float32, 1)
		program, err := graph.Build(weights, graph.Training, func(b *graph.Builder) graph.Outputs {
			if i == 1 {
				b.Part(nil)
			}
			x := b.Sequence([]graph.Block{graph.Conv{Filters: 32, Kernel: 3, Padding: 1}, graph.Conv{Filters: 32, Kernel: 3, Padding: 1}, graph.Flatten{}, graph.Linear{Units: 1}}, b.Input("images", 8, 12, 12, 1))
			return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(b.Node(gorgonia.Square(x))))}
		})
		if err != nil {
			t.Fatal(err)
		}
		images := make([]float32, 8*12*12)
		for k := range images {
			images[k] = float32(k%17) / 17
		}
		if err := program.Set("images", images); err != nil {
			t.Fatal(err)
		}
		if err := program.Run(); err != nil {
			t.Fatal(err)
		}
		for _, parameter := range program.Parameters() {
			if parameter.Name() == "conv2.weight" {
				if all[i], err = parameter.Elements(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := program.Close(); err != nil {
			t.Fatal(err)
		}
	}
	largest, difference := 0., 0.
	for k, v := range all[0] {
		largest, difference = max(largest, v, -v), max(difference, v-all[1][k], all[1][k]-v)
	}
	if largest == 0 || difference > 3e-5*largest {
		t.Errorf("found a difference of %v of gradients up to %v, expected at most 3e-5 of them", difference, largest)
	}
}
