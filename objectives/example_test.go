package objectives_test

import (
	"fmt"

	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// Siamese training: two towers, a head that fits the loss, a cost.
func ExampleNamed() {
	loss, head, err := objectives.Named("contrastive", "l2", objectives.Options{Margin: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	tower := []graph.Block{graph.Linear{Units: 1, NoBias: true, Weight: graph.Constant(1)}}
	program, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Training, func(b *graph.Builder) graph.Outputs {
		batch := objectives.Batch{
			Embeddings: []*graph.Node{b.Sequence(tower, b.Input("left", 2, 2)), b.Sequence(tower, b.Input("right", 2, 2))},
			Labels:     b.Input("different", 2),
			Head:       head,
		}
		return graph.Outputs{"distance": batch.Paired(b, 0, 1), graph.Cost: loss.Cost(b, batch)}
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
	// All four have a loss of 0: 1 − 3, 1 − 2, 0 − 2 and 0 − 2, plus the margin.
	fmt.Println(costOf(objectives.BatchHard{Margin: 1}, heads.L1{}, []float32{0, 1, 3, 3}, []float32{0, 0, 1, 1}))
	// Output: 0
}

// Two losses with weights.
func ExampleSum() {
	loss := objectives.Sum{
		{Weight: 1, Loss: objectives.BatchHard{Margin: 3}},
		{Weight: 0.5, Loss: objectives.BatchContrastive{Margin: 1}}}
	fmt.Println(loss.Name())
	fmt.Println(costOf(loss, heads.L1{}, []float32{0, 1, 3, 3}, []float32{0, 0, 1, 1}))
	// Output:
	// 1 batch-hard + 0.5 batch-contrastive
	// 1.2916666
}

// costOf is the cost of one batch of embeddings with one feature.
func costOf(loss objectives.Loss, head heads.Head, embeddings, labels []float32) float32 {
	program, err := graph.Build(graph.NewWeights(graph.Float32, 1), graph.Evaluation, func(b *graph.Builder) graph.Outputs {
		return graph.Outputs{graph.Cost: loss.Cost(b, objectives.Batch{
			Embeddings: []*graph.Node{b.Input("embeddings", len(labels), 1)},
			Labels:     b.Input("labels", len(labels)),
			Classes:    2,
			Head:       head,
		})}
	})
	if err != nil {
		panic(err)
	}
	defer program.Close()
	program.Set("embeddings", embeddings)
	program.Set("labels", labels)
	if err := program.Run(); err != nil {
		panic(err)
	}
	cost, _ := program.Scalar(graph.Cost)
	return float32(cost)
}
