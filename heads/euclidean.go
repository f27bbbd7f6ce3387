package heads

import (
	"github.com/likeness-go/likeness/graph"
)

// L2 is the Euclidean distance √Σ(xⱼ − yⱼ)², the D of Hadsell, Chopra & LeCun
// 2006. Where x = y the gradient is taken to be zero.
type L2 struct{}

// Name is "l2".
func (L2) Name() string { return "l2" }

// Paired implements Head.
func (L2) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairedDistances(graph.Euclidean, x, y, nil)
}

// Pairwise implements Head.
func (L2) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairwiseDistances(graph.Euclidean, x, y, nil)
}

// Properties implements Head.
func (L2) Properties() Properties {
	return Properties{Metric: true}
}

// Distance implements Head.
func (h L2) Distance(*graph.Weights) (Distance, error) {
	return FromForm(h.Name(), Form{Power: 2, Root: true})
}

// SquaredL2 is the squared Euclidean distance Σ(xⱼ − yⱼ)², as in FaceNet (Schroff,
// Kalenichenko & Philbin 2015, section 3.1). It is not a metric: the triangle inequality
// does not hold.
type SquaredL2 struct{}

// Name is "squared-l2".
func (SquaredL2) Name() string { return "squared-l2" }

// Paired implements Head.
func (SquaredL2) Paired(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairedDistances(graph.SquaredEuclidean, x, y, nil)
}

// Pairwise implements Head.
func (SquaredL2) Pairwise(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairwiseDistances(graph.SquaredEuclidean, x, y, nil)
}

// Properties implements Head.
func (SquaredL2) Properties() Properties {
	return Properties{Squared: true, Means: true}
}

// Distance implements Head.
func (h SquaredL2) Distance(*graph.Weights) (Distance, error) {
	return FromForm(h.Name(), Form{Power: 2})
}
