package objectives_test

import (
	"fmt"

	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
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

// A loss of your own that selects its examples in the batch.
func ExamplePerAnchor() {
	fmt.Printf("%.4f\n", costOf(easyPositive{}, heads.L2{}, []float32{0, 1, 2, 2, 7}, []float32{0, 0, 1, 1, 0}))
	// Output: 0.5892
}
