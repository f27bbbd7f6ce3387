package graph_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

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
		distance := b.PairDistances(graph.SquaredEuclidean, left, right, nil)
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
