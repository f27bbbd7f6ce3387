package objectives_test

import (
	"fmt"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/objectives"
)

// Siamese training: two towers, a head that fits the objective, a cost.
func ExampleNamed() {
	objective, head, err := objectives.Named("contrastive", "l2", objectives.Options{Margin: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	tower := []graph.Block{graph.Linear{Units: 1, NoBias: true, Weight: graph.Constant(1)}}
	program, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
		left := b.Sequence(tower, b.Input("left", 2, 2))
		right := b.Sequence(tower, b.Input("right", 2, 2))
		distance := head.Paired(b, left, right)
		cost := objective.(objectives.PairObjective).PairCost(b, distance, b.Input("different", 2))
		return graph.Outputs{"distance": distance, graph.Cost: cost}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer program.Close()
	program.Set("left", []float32{1, 2 /**/, 1, 1})
	program.Set("right", []float32{2, 2 /**/, 1, 2})
	program.Set("different", []float32{0, 1}) // the first pair is of one class
	if err := program.Run(); err != nil {
		fmt.Println(err)
		return
	}
	distance, _ := program.Get("distance")
	cost, _ := program.Scalar(graph.Cost)
	fmt.Println("distances", distance, "cost", cost)
	// Output: distances [1 1] cost 0.5
}

// A combination that makes no sense is refused with the reason.
func ExampleHeadFor() {
	_, err := objectives.HeadFor(objectives.Contrastive{Margin: 1}, "squared-l2")
	fmt.Println(err)
	// Output: contrastive with squared-l2: the equation squares the distance itself: use l2
}

// A mean over the hardest triplet of each anchor, in one batch of two classes.
func ExampleBatchHard() {
	objective, head, err := objectives.Named("batch-hard", "l1", objectives.Options{Margin: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	program, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		embeddings := b.Input("embeddings", 4, 1)
		distances := head.Pairwise(b, embeddings, embeddings)
		return graph.Outputs{graph.Cost: objective.(objectives.BatchObjective).BatchCost(b, distances, b.Input("labels", 4))}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer program.Close()
	program.Set("embeddings", []float32{0, 1, 3, 3})
	program.Set("labels", []float32{0, 0, 1, 1})
	if err := program.Run(); err != nil {
		fmt.Println(err)
		return
	}
	cost, _ := program.Scalar(graph.Cost) // all four rest: 1 − 3, 1 − 2, 0 − 2 and 0 − 2, plus the margin
	fmt.Println(cost)
	// Output: 0
}
