package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/tensor"
)

// anchors is the mean of what each image of a batch, as an anchor, makes of its
// distances to all: a scalar, of distances (batch, batch) and labels (batch).
// It is fused, because written as nodes some of these losses take arrays
// (batch, batch, batch); its memory is that of the distances.
func (e expression) anchors(name string, distances, labels *graph.Node, judge judgement) *graph.Node {
	return e.scalar(e.Apply(name, tensor.Shape{1},
		&anchors[float32]{judge: judge}, &anchors[float64]{judge: judge}, distances, labels))
}

// A judgement is the sum of the losses of one anchor, given its row of
// distances, and how many there are in it. It adds to slopes, which has the
// length of the row, the derivative of the sum. The anchor's distance to itself
// is not looked at.
type judgement func(anchor int, row, labels, slopes []float64) (sum, count float64)

// anchors finds the gradient in the same pass as the loss.
type anchors[T graph.Float] struct {
	judge  judgement
	slopes []float64 // (batch, batch): of the sum of losses by the distances
	count  float64   // of the losses in the mean, or 1
}

func (f *anchors[T]) Forward(y []T, x ...[]T) {
	distances, labels := widen(x[0]), widen(x[1])
	batch := len(labels)
	sums, counts := make([]float64, batch), make([]float64, batch)
	f.slopes = make([]float64, len(distances))
	graph.Parallel(batch, func(anchor int) {
		row := distances[anchor*batch:][:batch]
		sums[anchor], counts[anchor] = f.judge(anchor, row, labels, f.slopes[anchor*batch:][:batch])
		for other, d := range row {
			if other != anchor {
				sums[anchor] += 0 * d // a distance that is not finite shows in the cost
			}
		}
	})
	var sum, count float64
	for anchor := range batch {
		sum += sums[anchor]
		count += counts[anchor]
	}
	f.count = max(count, 1)
	y[0] = T(sum / f.count)
}

func (f *anchors[T]) Backward(dx, _ [][]T, _, dy []T) {
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
