package graph_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// known are values that can be told without the functions themselves.
type known struct{ x, softplus, sigmoid, slope float64 } // slope is that of σ

func knownValues() []known {
	inf := math.Inf(1)
	all := []known{
		{0, math.Ln2, 0.5, 0.25},
		{math.Log(3), math.Log(4), 0.75, 0.1875},
		{-math.Log(3), math.Log(4. / 3), 0.25, 0.1875},
		{1e4, 1e4, 1, 0},
		{-1e4, 0, 0, 0},
		{inf, inf, 1, 0},
		{-inf, 0, 0, 0},
	}
	for _, x := range []float64{17, 20, 40, 700} { // beyond where Gorgonia's are cut off
		s := math.Exp(-x) // of which three terms of a series are enough
		softplus, sigmoid, slope := s*(1-s/2+s*s/3), s*(1-s+s*s), s*(1-2*s+3*s*s)
		all = append(all, known{x, x + softplus, 1 - sigmoid, slope}, known{-x, softplus, sigmoid, slope})
	}
	return all
}

func near(found, want float64) bool {
	return found == want || math.Abs(found-want) <= 1e-15*math.Abs(want)
}

func TestValues(t *testing.T) {
	for _, k := range knownValues() {
		if value, slope := graph.Softplus(k.x); !near(value, k.softplus) || !near(slope, k.sigmoid) {
			t.Errorf("softplus(%v): found %v with slope %v, expected %v with %v", k.x, value, slope, k.softplus, k.sigmoid)
		}
		if value, slope := graph.Sigmoid(k.x); !near(value, k.sigmoid) || !near(slope, k.slope) {
			t.Errorf("σ(%v): found %v with slope %v, expected %v with %v", k.x, value, slope, k.sigmoid, k.slope)
		}
	}
	for name, f := range map[string]func(float64) (float64, float64){"softplus": graph.Softplus, "σ": graph.Sigmoid} {
		if value, slope := f(math.NaN()); !math.IsNaN(value) || !math.IsNaN(slope) {
			t.Errorf("%s(NaN): found %v with slope %v", name, value, slope)
		}
	}
}

// nodes are the two functions in graphs.
var nodes = map[string]func(*graph.Builder, *graph.Node) *graph.Node{"softplus": (*graph.Builder).Softplus, "σ": (*graph.Builder).Sigmoid}

// draw is Σ f(xᵢ) over the weight x, whose gradient is the slopes.
func drawActivation(f func(*graph.Builder, *graph.Node) *graph.Node, rows int) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		y := f(b, b.Weight("x", graph.Bias, graph.Initializer{}, rows))
		return graph.Outputs{"y": y, graph.Cost: b.Node(gorgonia.Sum(y))}
	}
}

func weights(t *testing.T, dtype tensor.Dtype, x []float64) *graph.Weights {
	t.Helper()
	w := graph.NewWeights(dtype, 1)
	if err := w.Add("x", graph.Bias, []int{len(x)}, x); err != nil {
		t.Fatal(err)
	}
	return w
}

// A graph has the same values and slopes, rounded to its arithmetic.
func TestNodes(t *testing.T) {
	x := []float64{-1e4, -700, -40, -20, -17, -1, 0, 1, 17, 20, 40, 700, 1e4}
	for name, f := range nodes {
		plain := map[string]func(float64) (float64, float64){"softplus": graph.Softplus, "σ": graph.Sigmoid}[name]
		for _, dtype := range []tensor.Dtype{graph.Float32, graph.Float64} {
			program, err := graph.Build(weights(t, dtype, x), graph.Training, drawActivation(f, len(x)))
			if err != nil {
				t.Fatal(err)
			}
			defer program.Close()
			if err := program.Run(); err != nil {
				t.Fatal(err)
			}
			y, err := program.Get("y")
			if err != nil {
				t.Fatal(err)
			}
			gradient, err := program.Parameters()[0].Elements()
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range x {
				value, slope := plain(v)
				if dtype == graph.Float32 {
					value, slope = float64(float32(value)), float64(float32(slope))
				}
				if y[i] != value || gradient[i] != slope {
					t.Errorf("%s(%v) in %v: found %v with slope %v, expected %v with %v", name, v, dtype, y[i], gradient[i], value, slope)
				}
			}
		}
	}
}

func TestGradients(t *testing.T) {
	x := []float64{-1e4, -30, -3, -0.5, 0, 0.5, 3, 18, 1e4}
	for _, f := range nodes {
		gradcheck.Check(t, weights(t, graph.Float64, x), nil, drawActivation(f, len(x)))
	}
}
