package heads

import (
	"math"

	"github.com/likeness-go/likeness/graph"
)

// L2 is the Euclidean distance √Σ(xⱼ − yⱼ)², the D of Hadsell, Chopra & LeCun
// 2006. Where x = y the gradient is taken to be zero.
type L2 struct{}

// Name is "l2".
func (L2) Name() string { return "l2" }

// Between implements Head.
func (L2) Between(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairDistances(graph.Euclidean, x, y, nil)
}

// Matrix implements Head.
func (L2) Matrix(b *graph.Builder, x *graph.Node) *graph.Node {
	return b.AllDistances(graph.Euclidean, x, nil)
}

// Distance implements Head.
func (h L2) Distance(*graph.Weights) (Distance, error) {
	return Distance{Head: h.Name(), builtin: h, Between: func(x, y []float32) float64 {
		return math.Sqrt(squaredL2(x, y))
	}}, nil
}
