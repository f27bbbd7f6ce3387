package heads

import "github.com/likeness-go/likeness/graph"

// SquaredL2 is Σ(xⱼ − yⱼ)², as FaceNet has it (Schroff, Kalenichenko & Philbin
// 2015, section 3.1). It is no metric: the triangle inequality fails.
type SquaredL2 struct{}

// Name is "squared-l2".
func (SquaredL2) Name() string { return "squared-l2" }

// Between implements Head.
func (SquaredL2) Between(b *graph.Builder, x, y *graph.Node) *graph.Node {
	return b.PairDistances(graph.SquaredEuclidean, x, y, nil)
}

// Matrix implements Head.
func (SquaredL2) Matrix(b *graph.Builder, x *graph.Node) *graph.Node {
	return b.AllDistances(graph.SquaredEuclidean, x, nil)
}

// Distance implements Head.
func (h SquaredL2) Distance(*graph.Weights) (Distance, error) {
	return Distance{Head: h.Name(), builtin: h, Between: squaredL2}, nil
}

func squaredL2(x, y []float32) float64 {
	return sum(x, y, func(_ int, x, y float64) float64 { return (x - y) * (x - y) })
}
