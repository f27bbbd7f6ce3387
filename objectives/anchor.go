package objectives

import (
	"github.com/likeness-go/likeness/datasets"
	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/tensor"
)

// Anchor is one anchor of a batch with its distances to all M references.
type Anchor struct {
	Index     int       // its row in the batch
	Distances []float64 // (M); read only
	Positives []int     // the valid references of its class, without the anchor itself, in ascending order
	Negatives []int     // the valid references of other classes, in ascending order
	// Slopes (M) are initially zero. The function adds to them the derivative of its sum
	// with respect to each distance.
	Slopes []float64
}

// Nearest returns the index of the reference with the smallest distance among the given
// ones, the first one if several are equal, and −1 if there is none. If a distance is
// NaN, that reference is returned.
func (a Anchor) Nearest(among []int) int { return a.extreme(among, -1) }

// Farthest is like Nearest, for the largest distance.
func (a Anchor) Farthest(among []int) int { return a.extreme(among, 1) }

func (a Anchor) extreme(among []int, sign float64) int {
	found := -1
	for _, j := range among {
		d := a.Distances[j]
		if found < 0 || sign*d > sign*a.Distances[found] || d != d {
			found = j
		}
	}
	return found
}

// PerAnchor returns the mean of the losses of all anchors, a scalar. The function loss
// computes those of one anchor from its distances: their sum and their number. The result
// is
//
//	Σₐ sumₐ / max(1, Σₐ countₐ)
//
// An anchor may have any number of losses: one, one for each positive, one for each
// triplet. An anchor without losses returns 0, 0. The selection of references and the
// count have no gradient: gradients reach the embeddings through the distances only, by
// the derivatives that the function adds to Anchor.Slopes.
//
// The function is called by several goroutines at once; it must depend on its argument
// only. If a distance between an anchor and a reference with which it is compared is NaN
// or infinite, the result is NaN, so that a diverging training is noticed. The name
// appears in errors.
//
// Loss and gradient are computed in one pass, in float64, in memory proportional to the
// distances (N, M); as separate nodes, losses over all triplets would need (N, M, M).
func PerAnchor(b *graph.Builder, name string, batch Batch, loss func(a Anchor) (sum, count float64)) *graph.Node {
	mustBe(b, batch.check(datasets.Labeled))
	if loss == nil {
		b.Fail("%s: the loss of an anchor is nil, expected a function", name)
	}
	operands := append([]*graph.Node{batch.Pairwise(b)}, batch.labelNodes()...)
	self := batch.references().Self
	return expression{b}.scalar(b.Apply(name, tensor.Shape{1},
		&perAnchor[float32]{loss: loss, self: self}, &perAnchor[float64]{loss: loss, self: self}, operands...))
}

// perAnchor finds the gradient in the same pass as the loss.
type perAnchor[T graph.Float] struct {
	loss   func(a Anchor) (sum, count float64)
	self   bool
	slopes []float64 // (N, M): of the sum of losses by the distances
	count  float64   // of the losses in the mean, or 1
}

func (f *perAnchor[T]) Forward(y []T, x ...[]T) {
	distances, r := widen(x[0]), relationOf(f.self, x[1:])
	rows, columns := len(r.anchors), len(r.references)
	sums, counts := make([]float64, rows), make([]float64, rows)
	f.slopes = make([]float64, len(distances))
	graph.Parallel(rows, func(i int) {
		a := Anchor{Index: i, Distances: distances[i*columns:][:columns:columns], Slopes: f.slopes[i*columns:][:columns:columns]}
		for j := range columns {
			switch {
			case !r.compared(i, j):
			case r.same(i, j):
				a.Positives = append(a.Positives, j)
			default:
				a.Negatives = append(a.Negatives, j)
			}
		}
		sums[i], counts[i] = f.loss(a)
		for j, d := range a.Distances {
			if r.compared(i, j) {
				sums[i] += 0 * d // shows one that is not finite
			}
		}
	})
	var sum, count float64
	for i := range rows {
		sum += sums[i]
		count += counts[i]
	}
	f.count = max(count, 1)
	y[0] = T(sum / f.count)
}

func (f *perAnchor[T]) Backward(dx, _ [][]T, _, dy []T) {
	for i := range dx[0] {
		dx[0][i] = T(f.slopes[i] * float64(dy[0]) / f.count)
	}
	for _, d := range dx[1:] {
		clear(d)
	}
}

func widen[T graph.Float](values []T) []float64 {
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return wide
}
