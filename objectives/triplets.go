package objectives

import (
	"math"

	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/tensor"
)

// triplets is the mean loss of the triplets that a rule finds in a batch, a
// scalar: distances (batch, batch), labels (batch). It is fused, because a
// batch of 200 has millions of triplets, too many for nodes to hold; its
// memory is that of the distances.
func (e expression) triplets(distances, labels *graph.Node, loss ranking, find finder) *graph.Node {
	return e.scalar(e.Apply("triplets", tensor.Shape{1},
		&triplets[float32]{loss: loss, find: find}, &triplets[float64]{loss: loss, find: find}, distances, labels))
}

// A finder visits triplets of one anchor, given its row of distances. What it
// visits is a constant to training.
type finder func(anchor int, row, labels []float64, visit func(positive, negative int))

// A ranking is the loss of one gap D(a,p) − D(a,n) and its derivative, and
// whether the triplet counts in the mean.
type ranking func(gap float64) (loss, slope float64, counts bool)

// hingeRanking is max(0, gap + margin); triplets that rest do not count.
func hingeRanking(margin float64) ranking {
	return func(gap float64) (loss, slope float64, counts bool) {
		if gap+margin > 0 {
			return gap + margin, 1, true
		}
		return 0, 0, false
	}
}

// softRanking is log(1 + exp(gap)), in a form that does not overflow.
func softRanking(gap float64) (loss, slope float64, counts bool) {
	return max(gap, 0) + math.Log1p(math.Exp(-math.Abs(gap))), 1 / (1 + math.Exp(-gap)), true
}

type triplets[T graph.Float] struct {
	loss  ranking
	find  finder
	count float64 // of the triplets of the last forward pass
}

func (f *triplets[T]) Forward(y []T, x ...[]T) {
	labels := widen(x[1])
	sums, counts := make([]float64, len(labels)), make([]float64, len(labels))
	graph.Parallel(len(labels), func(anchor int) {
		row := anchorRow(x[0], anchor, len(labels))
		for other, d := range row {
			if other != anchor {
				sums[anchor] += 0 * d // a distance that is not finite shows in the cost
			}
		}
		f.find(anchor, row, labels, func(positive, negative int) {
			if loss, _, ok := f.loss(row[positive] - row[negative]); ok {
				sums[anchor] += loss
				counts[anchor]++
			}
		})
	})
	var sum float64
	f.count = 0
	for anchor := range labels {
		sum += sums[anchor]
		f.count += counts[anchor]
	}
	y[0] = T(sum / max(f.count, 1))
}

func (f *triplets[T]) Backward(dx, x [][]T, _, dy []T) {
	labels := widen(x[1])
	each := float64(dy[0]) / max(f.count, 1)
	graph.Parallel(len(labels), func(anchor int) {
		row, gradient := anchorRow(x[0], anchor, len(labels)), make([]float64, len(labels))
		f.find(anchor, row, labels, func(positive, negative int) {
			_, slope, _ := f.loss(row[positive] - row[negative])
			gradient[positive] += slope * each
			gradient[negative] -= slope * each
		})
		for i, g := range gradient {
			dx[0][anchor*len(labels)+i] = T(g)
		}
	})
	clear(dx[1])
}

// anchorRow copies the distances of an anchor.
func anchorRow[T graph.Float](distances []T, anchor, batch int) []float64 {
	return widen(distances[anchor*batch : (anchor+1)*batch])
}

func widen[T graph.Float](values []T) []float64 {
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return wide
}
