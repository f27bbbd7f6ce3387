package graph_test

import (
	"fmt"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
)

// Two towers on one set of weights: the same blocks applied to two inputs.
func ExampleBuild() {
	weights := graph.NewWeights(graph.Float64, 1)
	program, err := graph.Build(weights, graph.Training, func(b *graph.Builder) graph.Outputs {
		tower := []graph.Block{graph.Linear{Units: 1, NoBias: true, Weight: graph.Constant(2)}}
		left := b.Sequence(tower, b.Input("left", 1, 3))
		right := b.Sequence(tower, b.Input("right", 1, 3))
		difference := b.Node(gorgonia.Sub(left, right))
		return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(difference))}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer program.Close()
	program.Set("left", []float64{1, 2, 3})
	program.Set("right", []float64{1, 1, 1})
	if err := program.Run(); err != nil {
		fmt.Println(err)
		return
	}
	cost, _ := program.Scalar(graph.Cost)
	gradient, _ := program.Parameters()[0].Elements()
	fmt.Println(len(weights.All()), "weight, cost", cost, "gradient", gradient)
	// Output: 1 weight, cost 6 gradient [0 1 2]
}
