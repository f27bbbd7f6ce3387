package graph_test

import (
	"math"
	"testing"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"gorgonia.org/gorgonia"
)

// The rows (0, 0), (3, 4) and (0, −1).
var points = []float64{0, 0, 3, 4, 0, -1}

func TestDistanceValues(t *testing.T) {
	tests := map[string]struct {
		metric   graph.Metric
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
			return graph.Outputs{"pairs": b.PairDistances(test.metric, x, y, factors), "all": b.AllDistances(test.metric, x, factors)}
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
	for name, metric := range map[string]graph.Metric{
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
					pairs := b.PairDistances(metric, x, y, factors)
					self := b.PairDistances(metric, x, b.Node(gorgonia.Neg(x)), factors)
					all := b.AllDistances(metric, x, factors)
					cost := b.Node(gorgonia.Add(sumOfSquares(b, pairs, weight(b, "pairs", 4)), sumOfSquares(b, self, weight(b, "self", 4))))
					return graph.Outputs{graph.Cost: b.Node(gorgonia.Add(cost, sumOfSquares(b, all, weight(b, "all", 4, 4))))}
				})
			})
		}
	}
}

// At distance 0, where Gorgonia's Sqrt and Norm give Inf and NaN, the
// subgradient is 0. An operand may be given twice.
func TestDistanceOfEqualRows(t *testing.T) {
	for _, metric := range []graph.Metric{graph.SquaredEuclidean, graph.Euclidean, graph.Manhattan} {
		program := build(t, graph.NewWeights(graph.Float64, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
			x := weight(b, "x", 2, 3)
			distance := b.PairDistances(metric, x, x, nil)
			return graph.Outputs{"distance": distance, graph.Cost: b.Node(gorgonia.Sum(distance))}
		})
		run(t, program)
		expectEqual(t, "distance", get(t, program, "distance"), []float64{0, 0})
		expectEqual(t, "gradient", gradients(t, program)["x"], make([]float64, 6))
	}
}
