package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"github.com/likeness-go/likeness/internal/logistic"
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

// softRanking is log(1 + exp(gap)).
func softRanking(gap float64) (loss, slope float64, counts bool) {
	loss, slope = logistic.Softplus(gap)
	return loss, slope, true
}

// triplets finds the gradient in the same pass as the loss.
type triplets[T graph.Float] struct {
	loss   ranking
	find   finder
	slopes []float64 // (batch, batch): of the sum of losses by the distances
	count  float64   // of the triplets in the mean, or 1
}

func (f *triplets[T]) Forward(y []T, x ...[]T) {
	distances, labels := widen(x[0]), widen(x[1])
	batch := len(labels)
	sums, counts := make([]float64, batch), make([]float64, batch)
	f.slopes = make([]float64, len(distances))
	graph.Parallel(batch, func(anchor int) {
		row, slopes := distances[anchor*batch:][:batch], f.slopes[anchor*batch:][:batch]
		for other, d := range row {
			if other != anchor {
				sums[anchor] += 0 * d // a distance that is not finite shows in the cost
			}
		}
		f.find(anchor, row, labels, func(positive, negative int) {
			loss, slope, counted := f.loss(row[positive] - row[negative])
			if counted {
				sums[anchor] += loss
				counts[anchor]++
				slopes[positive] += slope
				slopes[negative] -= slope
			}
		})
	})
	var sum, count float64
	for anchor := range batch {
		sum += sums[anchor]
		count += counts[anchor]
	}
	f.count = max(count, 1)
	y[0] = T(sum / f.count)
}

func (f *triplets[T]) Backward(dx, _ [][]T, _, dy []T) {
	for i, slope := range f.slopes {
		dx[0][i] = T(slope * float64(dy[0]) / f.count)
	}
	clear(dx[1])
}

func widen[T graph.Float](values []T) []float64 {
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return wide
}
