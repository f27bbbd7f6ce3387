package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/tensor"
)

// fixed is a Function that is constant to training: it comes from labels.
type fixed[T graph.Float] func(y []T, x ...[]T)

func (f fixed[T]) Forward(y []T, x ...[]T) { f(y, x...) }

func (f fixed[T]) Backward(dx, _ [][]T, _, _ []T) {
	for _, d := range dx {
		clear(d)
	}
}

// sameClass marks with 1 the positives of each anchor: element (a, p) of
// (batch, batch) where labels a and p are the same and a ≠ p.
func (e expression) sameClass(labels *graph.Node) *graph.Node {
	return e.Apply("same class", square(labels), fixed[float32](markSame[float32]), fixed[float64](markSame[float64]), labels)
}

// otherClass marks with 1 the negatives of each anchor: element (a, n) of
// (batch, batch) where labels a and n differ.
func (e expression) otherClass(labels *graph.Node) *graph.Node {
	return e.Apply("other class", square(labels), fixed[float32](markOther[float32]), fixed[float64](markOther[float64]), labels)
}

// any marks with 1 the rows of a mask (batch, batch) in which anything is
// marked: (batch).
func (e expression) any(mask *graph.Node) *graph.Node {
	return e.Apply("any", mask.Shape()[:1].Clone(), fixed[float32](markAny[float32]), fixed[float64](markAny[float64]), mask)
}

// pairs gives each pair i < j of (batch, batch) its weight in a mean: 1, or,
// where balanced, one over the number of pairs of its kind.
func (e expression) pairs(labels *graph.Node, balanced bool) *graph.Node {
	if balanced {
		return e.Apply("pairs", square(labels), fixed[float32](balancedPairs[float32]), fixed[float64](balancedPairs[float64]), labels)
	}
	return e.Apply("pairs", square(labels), fixed[float32](allPairs[float32]), fixed[float64](allPairs[float64]), labels)
}

func square(labels *graph.Node) tensor.Shape {
	return tensor.Shape{labels.Shape()[0], labels.Shape()[0]}
}

func markSame[T graph.Float](mask []T, x ...[]T) {
	mark(mask, x[0], func(i, j int, same bool) bool { return same && i != j })
}

func markOther[T graph.Float](mask []T, x ...[]T) {
	mark(mask, x[0], func(_, _ int, same bool) bool { return !same })
}

func allPairs[T graph.Float](mask []T, x ...[]T) {
	mark(mask, x[0], func(i, j int, _ bool) bool { return i < j })
}

// mark sets element (i, j) of the mask to 1 where the rule says so, given also
// whether labels i and j are the same, and to 0 elsewhere.
func mark[T graph.Float](mask, labels []T, rule func(i, j int, same bool) bool) {
	clear(mask)
	for i, a := range labels {
		for j, b := range labels {
			if rule(i, j, a == b) {
				mask[i*len(labels)+j] = 1
			}
		}
	}
}

func balancedPairs[T graph.Float](weights []T, x ...[]T) {
	labels, count := x[0], map[bool]T{}
	mark(weights, labels, func(i, j int, same bool) bool {
		if i < j {
			count[same]++
		}
		return i < j
	})
	for i, a := range labels {
		for j, b := range labels {
			if i < j {
				weights[i*len(labels)+j] /= count[a == b]
			}
		}
	}
}

func markAny[T graph.Float](marked []T, x ...[]T) {
	columns := len(x[0]) / len(marked)
	clear(marked)
	for i, v := range x[0] {
		if v != 0 {
			marked[i/columns] = 1
		}
	}
}
