package graph_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// The rows (0, 0), (3, 4) and (0, −1).
var points = []float64{0, 0, 3, 4, 0, -1}

func TestDistanceValues(t *testing.T) {
	tests := map[string]struct {
		metric   graph.DistanceKind
		weighted bool
		expected []float64 // of all pairs
	}{
		"squared Euclidean":  {graph.SquaredEuclidean, false, []float64{0, 25, 1, 25, 0, 34, 1, 34, 0}},
		"Euclidean":          {graph.Euclidean, false, []float64{0, 5, 1, 5, 0, math.Sqrt(34), 1, math.Sqrt(34), 0}},
		"Manhattan":          {graph.Manhattan, false, []float64{0, 7, 1, 7, 0, 8, 1, 8, 0}},
		"weighted Manhattan": {graph.Manhattan, true, []float64{0, -1, -1, -1, 0, -2, -1, -2, 0}}, // 1·|Δ₁| − 1·|Δ₂|
	}
	for name, test := range tests {
		program := build(t, graph.NewWeights(graph.Float64, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
			x, y := b.Input("x", 3, 2), b.Input("y", 3, 2)
			var factors *graph.Node
			if test.weighted {
				factors = b.Input("factors", 2)
			}
			return graph.Outputs{"pairs": b.PairedDistances(test.metric, x, y, factors), "all": b.PairwiseDistances(test.metric, x, x, factors)}
		})
		if test.weighted {
			set(t, program, values{"factors": {1, -1}})
		}
		set(t, program, values{"x": points, "y": {3, 4, 3, 4, 3, 4}})
		run(t, program)
		expectNear(t, name, get(t, program, "all"), test.expected, 1e-15)
		expectNear(t, name, get(t, program, "pairs"), test.expected[3:6], 1e-15)
	}
}

// Gradients by both sides and by the weight; x against itself in the second
// operand too.
func TestDistanceGradients(t *testing.T) {
	if testing.Short() {
		t.Skip("finite differences repeat the same steps: they show nothing of goroutines")
	}
	for name, metric := range map[string]graph.DistanceKind{
		"squared Euclidean": graph.SquaredEuclidean, "Euclidean": graph.Euclidean, "Manhattan": graph.Manhattan,
	} {
		for _, weighted := range []bool{false, true} {
			if weighted && metric != graph.Manhattan {
				continue
			}
			t.Run(name, func(t *testing.T) {
				gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), nil, func(b *graph.Builder) graph.Outputs {
					x, y := weight(b, "x", 4, 3), weight(b, "y", 4, 3)
					var factors *graph.Node
					if weighted {
						factors = weight(b, "factors", 3)
					}
					pairs := b.PairedDistances(metric, x, y, factors)
					self := b.PairedDistances(metric, x, b.Node(gorgonia.Neg(x)), factors)
					all := b.PairwiseDistances(metric, x, x, factors)
					cost := b.Node(gorgonia.Add(sumOfSquares(b, pairs, weight(b, "pairs", 4)), sumOfSquares(b, self, weight(b, "self", 4))))
					return graph.Outputs{graph.Cost: b.Node(gorgonia.Add(cost, sumOfSquares(b, all, weight(b, "all", 4, 4))))}
				})
			})
		}
	}
}

// Inner products worked by hand, and their gradients by both sides, also if both are one.
func TestProducts(t *testing.T) {
	program := build(t, graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"products": b.Products(b.Input("x", 2, 3), b.Input("y", 1, 3))}
	})
	set(t, program, values{"x": {1, 2, 3, 0, -1, 2}, "y": {4, 5, 6}})
	run(t, program)
	expectEqual(t, "products", get(t, program, "products"), []float64{32, 7})
	gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), nil, func(b *graph.Builder) graph.Outputs {
		x, y := weight(b, "x", 4, 3), weight(b, "y", 5, 3)
		cost := sumOfSquares(b, b.Products(x, y), weight(b, "all", 4, 5))
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Add(cost, sumOfSquares(b, b.Products(x, x), weight(b, "self", 4, 4))))}
	})
}

// At distance 0, where Gorgonia's Sqrt and Norm give Inf and NaN, the
// subgradient is 0. An operand may be given twice.
func TestDistanceOfEqualRows(t *testing.T) {
	for _, metric := range []graph.DistanceKind{graph.SquaredEuclidean, graph.Euclidean, graph.Manhattan} {
		program := build(t, graph.NewWeights(graph.Float64, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
			x := weight(b, "x", 2, 3)
			distance := b.PairedDistances(metric, x, x, nil)
			return graph.Outputs{"distance": distance, graph.Cost: b.Node(gorgonia.Sum(distance))}
		})
		run(t, program)
		expectEqual(t, "distance", get(t, program, "distance"), []float64{0, 0})
		expectEqual(t, "gradient", gradients(t, program)["x"], make([]float64, 6))
	}
}

// known are values that are known without the functions themselves.
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

// everything is a network of nearly all blocks for images (5 to 8 pixels).
var everything = []graph.Block{
	graph.Conv{Filters: 4, Kernel: 3, Padding: 1, NoBias: true, BatchNorm: true, Activation: "relu", Pool: 2},
	graph.Residual{Body: []graph.Block{graph.Conv{Filters: 4, Kernel: 3, Padding: 1, Activation: "prelu"}}},
	graph.AveragePool{Size: 2, Stride: 1, Trainable: true},
	graph.Flatten{},
	graph.Linear{Units: 6, Activation: "sigmoid"},
	graph.Dropout{Rate: 0.2},
	graph.Linear{Units: 3},
	graph.Normalize{},
}

// distances of the embeddings of two inputs of images (n, 6, 6, 2).
func twins(n int) func(b *graph.Builder) graph.Outputs {
	return func(b *graph.Builder) graph.Outputs {
		left, right := b.Sequence(everything, b.Input("left", n, 6, 6, 2)), b.Sequence(everything, b.Input("right", n, 6, 6, 2))
		distance := b.PairedDistances(graph.SquaredEuclidean, left, right, nil)
		return graph.Outputs{"distance": distance, graph.Cost: b.Node(gorgonia.Mean(distance))}
	}
}

func TestFloat32AgreesWithFloat64(t *testing.T) {
	results := func(weights *graph.Weights) (values, values) {
		program := build(t, weights, graph.Training, twins(3))
		set(t, program, values{"left": normal(216, "left"), "right": normal(216, "right")})
		run(t, program)
		return values{"distance": get(t, program, "distance"), "cost": get(t, program, "cost")}, gradients(t, program)
	}
	wideOutputs, wide := results(graph.NewWeights(graph.Float64, 1))
	narrowOutputs, narrow := results(graph.NewWeights(graph.Float32, 1))
	expectNear(t, "outputs", narrowOutputs, wideOutputs, 1e-5)
	expectNear(t, "gradients", narrow, wide, 1e-5)
}

// A batch of one has the gradients of any other.
func TestBatchOfOne(t *testing.T) {
	if testing.Short() {
		t.Skip("finite differences repeat the same steps: they show nothing of goroutines")
	}
	gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), values{"left": normal(72, "left"), "right": normal(72, "right")}, twins(1))
}

// A NaN in one image makes that image's embedding NaN, and no other's: it is
// neither lost in a maximum nor a reason to panic.
func TestNaNStaysNaN(t *testing.T) {
	for name, blocks := range map[string][]graph.Block{
		"block": {graph.Conv{Filters: 2, Kernel: 3, Padding: 1, Activation: "relu", Pool: 2}, graph.Flatten{}},
		"apart": {graph.Activate{Function: "relu"}, graph.MaxPool{Size: 2}, graph.Flatten{}},
	} {
		for _, dtype := range []tensor.Dtype{graph.Float32, graph.Float64} {
			program := build(t, graph.NewWeights(dtype, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
				x := b.Node(gorgonia.Add(b.Input("x", 2, 4, 4, 1), weight(b, "w", 2, 4, 4, 1)))
				y := b.Sequence(blocks, x)
				return graph.Outputs{"y": y, graph.Cost: b.Node(gorgonia.Sum(y))}
			})
			x := make([]float64, 32)
			x[5] = math.NaN()
			set(t, program, values{"x": x})
			run(t, program)
			y := get(t, program, "y")
			if !anyNaN(y[:len(y)/2]) || anyNaN(y[len(y)/2:]) {
				t.Errorf("%s, %v: found %v, expected NaN in the first half alone", name, dtype, y)
			}
			for weight, gradient := range gradients(t, program) {
				if weight == "w" && anyNaN(gradient[16:]) {
					t.Errorf("%s, %v: the gradient of the whole image is %v", name, dtype, gradient[16:])
				}
			}
		}
	}
}

func anyNaN(numbers []float64) bool {
	for _, v := range numbers {
		if math.IsNaN(v) {
			return true
		}
	}
	return false
}
