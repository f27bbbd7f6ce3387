package heads_test

import (
	"fmt"
	"log"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
)

// Two embeddings compared in a graph and outside of it.
func ExampleHead() {
	head, err := heads.Named("l2")
	if err != nil {
		fmt.Println(err)
		return
	}
	weights := graph.NewWeights(graph.Float32, 1)
	program, err := graph.Build(weights, graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{"distance": head.Paired(b, b.Input("left", 1, 2), b.Input("right", 1, 2))}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer program.Close()
	left, right := []float32{3, 0}, []float32{0, 4}
	program.Set("left", left)
	program.Set("right", right)
	if err := program.Run(); err != nil {
		fmt.Println(err)
		return
	}
	inGraph, _ := program.Scalar("distance")
	distance, _ := head.Distance(weights)
	fmt.Println(inGraph, distance.Between(left, right))
	// Output: 5 5
}

// Any function of two embeddings can be a distance: here the largest difference.
func ExampleFromFunc() {
	chebyshev, err := heads.FromFunc("chebyshev", func(x, y []float32) (greatest float64) {
		for j := range x {
			greatest = max(greatest, float64(x[j]-y[j]), float64(y[j]-x[j]))
		}
		return greatest
	})
	if err != nil {
		log.Fatal(err)
	}
	distances := make([]float64, 2) // of one row from two
	if err := chebyshev.Pairwise(distances, []float32{0, 0}, []float32{1, 0, 6, 5}, 2); err != nil {
		log.Fatal(err)
	}
	fmt.Println(distances)
	// Output: [1 6]
}
