package heads

import (
	"math"

	"github.com/likeness-go/likeness/graph"
)

// L1 is Σ|xⱼ − yⱼ|. Where xⱼ = yⱼ the gradient is taken to be zero.
type L1 struct{}

// Name is "l1".
func (L1) Name() string { return "l1" }

// Between implements Head.
func (L1) Between(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairDistances(graph.Manhattan, x, y, nil)
}

// Matrix implements Head.
func (L1) Matrix(b *graph.Builder, x *graph.Node) *graph.Node {
	return b.AllDistances(graph.Manhattan, x, nil)
}

// Distance implements Head.
func (h L1) Distance(*graph.Weights) (Distance, error) {
	return Distance{Head: h.Name(), builtin: h, Between: func(x, y []float32) float64 {
		return sum(x, y, func(_ int, x, y float64) float64 { return math.Abs(x - y) })
	}}, nil
}
