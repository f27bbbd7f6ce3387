package objectives_test

import (
	"fmt"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/graph/gradcheck"
	"github.com/likeness-go/likeness/heads"
	"github.com/likeness-go/likeness/objectives"
)

// easyPositive compares, for each anchor, the nearest positive with the nearest
// negative: log(1 + exp(D(a,p) − D(a,n))). Source: Xuan, Stylianou & Pless 2020,
// "Improved embeddings with easy positive triplet mining".
type easyPositive struct{}

func (easyPositive) Name() string           { return "easy-positive" }
func (easyPositive) Kind() datasets.Kind    { return datasets.Labeled }
func (easyPositive) Check(heads.Head) error { return nil }

func (l easyPositive) Cost(b *graph.Builder, batch objectives.Batch) *graph.Node {
	return objectives.PerAnchor(b, l.Name(), batch, func(a objectives.Anchor) (sum, count float64) {
		p, n := a.Nearest(a.Positives), a.Nearest(a.Negatives)
		if p < 0 || n < 0 {
			return 0, 0 // no triplet
		}
		loss, slope := graph.Softplus(a.Distances[p] - a.Distances[n])
		a.Slopes[p], a.Slopes[n] = slope, -slope
		return loss, 1
	})
}

// A loss of your own that selects its examples in the batch, its value for five
// embeddings of one feature, and the check of its gradient, which finds a forgotten or wrong
// slope. A trainer.Trainer takes it as Loss.
func ExamplePerAnchor() {
	build := func(b *graph.Builder) graph.Outputs {
		embeddings := b.Weight("embeddings", graph.Bias, graph.Normal(0, 1), 5, 1)
		batch := objectives.Batch{Embeddings: []*graph.Node{embeddings}, Labels: b.Input("labels", 5), Head: heads.L2{}}
		return graph.Outputs{graph.Cost: easyPositive{}.Cost(b, batch)}
	}
	inputs := map[string][]float64{"labels": {0, 0, 1, 1, 0}}
	fmt.Println("wrong gradients:", len(gradcheck.Find(graph.NewWeights(graph.Float64, 1), inputs, build)))

	// costOf, in example_test.go, builds and runs the same graph for given embeddings.
	fmt.Printf("%.4f\n", costOf(easyPositive{}, heads.L2{}, []float32{0, 1, 2, 2, 7}, []float32{0, 0, 1, 1, 0}))
	// Output:
	// wrong gradients: 0
	// 0.5892
}
