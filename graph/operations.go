package graph

import (
	"math"

	"github.com/likeness-go/likeness/graph/internal/kernel"
	"gorgonia.org/tensor"
)

// The distances of PairedDistances and PairwiseDistances. All have a small relative error
// near zero, because they are sums of differences, not differences of sums, and their
// gradient at distance 0 is 0.
const (
	SquaredEuclidean = kernel.SquaredEuclidean // Σ (xⱼ − yⱼ)²
	Euclidean        = kernel.Euclidean        // √Σ (xⱼ − yⱼ)²
	Manhattan        = kernel.Manhattan        // Σ |xⱼ − yⱼ|, with weights Σ wⱼ|xⱼ − yⱼ|
)

// DistanceKind is one of SquaredEuclidean, Euclidean and Manhattan.
type DistanceKind = kernel.Metric

// PairedDistances adds the distances of aligned rows, of row i of x from row i of
// y: (rows, columns) and (rows, columns) to (rows). The weight (columns) is nil or,
// with Manhattan only, a factor for each column.
func (b *Builder) PairedDistances(metric DistanceKind, x, y, weight *Node) *Node {
	rows, columns := b.rows(x)
	if !x.Shape().Eq(y.Shape()) {
		b.Fail("distance: found shapes %v and %v, expected equal ones", x.Shape(), y.Shape())
	}
	b.Describe("distance", metric)
	operands := b.weighted(metric, weight, columns, x, y)
	return b.Apply("distance", tensor.Shape{rows},
		&pairedDistances[float32]{metric, rows, columns}, &pairedDistances[float64]{metric, rows, columns}, operands...)
}

// PairwiseDistances adds the distances of every row of x from every row of y:
// (rows, columns) and (references, columns) to (rows, references). x and y may be
// the same node, which takes half the time. It needs memory for
// rows·references + (rows + references)·columns elements, never for
// rows·references·columns. The weight is as in PairedDistances.
func (b *Builder) PairwiseDistances(metric DistanceKind, x, y, weight *Node) *Node {
	rows, columns := b.rows(x)
	references, otherColumns := b.rows(y)
	if columns != otherColumns {
		b.Fail("distances: found shapes %v and %v, expected as many columns in both", x.Shape(), y.Shape())
	}
	b.Describe("distances", metric)
	if x == y {
		operands := b.weighted(metric, weight, columns, x)
		return b.Apply("distances", tensor.Shape{rows, rows},
			&allDistances[float32]{metric, rows, columns}, &allDistances[float64]{metric, rows, columns}, operands...)
	}
	operands := b.weighted(metric, weight, columns, x, y)
	return b.Apply("distances", tensor.Shape{rows, references},
		&pairwiseDistances[float32]{metric, rows, references, columns}, &pairwiseDistances[float64]{metric, rows, references, columns}, operands...)
}

// Products adds the inner products of every row of x and every row of y: (rows, columns)
// and (references, columns) to (rows, references), the matrix product x·yᵀ. It is several
// times as fast as PairwiseDistances, but a distance that is computed from products has no
// small relative error near zero. Of unit vectors, see Normalize, they are cosines.
func (b *Builder) Products(x, y *Node) *Node {
	rows, columns := b.rows(x)
	references, otherColumns := b.rows(y)
	if columns != otherColumns {
		b.Fail("products: found shapes %v and %v, expected as many columns in both", x.Shape(), y.Shape())
	}
	return b.Apply("products", tensor.Shape{rows, references},
		&products[float32]{rows, references, columns}, &products[float64]{rows, references, columns}, x, y)
}

// weighted appends the weight, if there is one, to the operands.
func (b *Builder) weighted(metric DistanceKind, weight *Node, columns int, operands ...*Node) []*Node {
	if weight == nil {
		return operands
	}
	if metric != Manhattan {
		b.Fail("distance: only Manhattan takes a weight")
	}
	if !weight.Shape().Eq(tensor.Shape{columns}) {
		b.Fail("distance: found a weight of shape %v, expected (%d)", weight.Shape(), columns)
	}
	return append(operands, weight)
}

type pairedDistances[T Float] struct {
	metric        DistanceKind
	rows, columns int
}

func (f *pairedDistances[T]) Forward(d []T, x ...[]T) {
	kernel.PairDistances(f.metric, d, x[0], x[1], third(x), f.rows, f.columns)
}

func (f *pairedDistances[T]) Backward(dx, x [][]T, d, dd []T) {
	kernel.PairDistancesBackward(f.metric, dx[0], dx[1], third(dx), x[0], x[1], third(x), d, dd, f.rows, f.columns)
}

// allDistances are the pairwise distances of one matrix, each computed once.
type allDistances[T Float] struct {
	metric        DistanceKind
	rows, columns int
}

func (f *allDistances[T]) Forward(d []T, x ...[]T) {
	kernel.AllDistances(f.metric, d, x[0], second(x), f.rows, f.columns)
}

func (f *allDistances[T]) Backward(dx, x [][]T, d, dd []T) {
	kernel.AllDistancesBackward(f.metric, dx[0], second(dx), x[0], second(x), d, dd, f.rows, f.columns)
}

type pairwiseDistances[T Float] struct {
	metric                    DistanceKind
	rows, references, columns int
}

func (f *pairwiseDistances[T]) Forward(d []T, x ...[]T) {
	kernel.PairwiseDistances(f.metric, d, x[0], x[1], third(x), f.rows, f.references, f.columns)
}

func (f *pairwiseDistances[T]) Backward(dx, x [][]T, d, dd []T) {
	kernel.PairwiseDistancesBackward(f.metric, dx[0], dx[1], third(dx), x[0], x[1], third(x), d, dd, f.rows, f.references, f.columns)
}

type products[T Float] struct{ rows, references, columns int }

func (f *products[T]) Forward(y []T, x ...[]T) {
	kernel.MatMul(y, x[0], x[1], f.rows, f.references, f.columns, false, true, false)
}

func (f *products[T]) Backward(dx, x [][]T, _, dy []T) {
	if dx[0] != nil {
		kernel.MatMul(dx[0], dy, x[1], f.rows, f.columns, f.references, false, false, false)
	}
	if dx[1] != nil {
		kernel.MatMul(dx[1], dy, x[0], f.references, f.columns, f.rows, true, false, false)
	}
}

// The logistic function σ and its integral softplus are computed here at full
// precision for every number. Gorgonia's own operations replace softplus(x) by x
// above 16 and σ(x) by 1 above 19, whose errors in float64 are 1e-7 and 6e-9.

// Softplus returns log(1 + exp(x)) and its derivative σ(x).
func Softplus(x float64) (value, slope float64) {
	small := math.Exp(-math.Abs(x)) // never overflows
	if slope = 1 / (1 + small); x < 0 {
		slope *= small
	}
	return max(x, 0) + math.Log1p(small), slope
}

// Sigmoid returns σ(x) = 1/(1 + exp(−x)) and its derivative σ(x)·σ(−x).
func Sigmoid(x float64) (value, slope float64) {
	small := math.Exp(-math.Abs(x))
	if value = 1 / (1 + small); x < 0 {
		value *= small
	}
	return value, small / ((1 + small) * (1 + small))
}

// Softplus returns the softplus of every element of x.
func (b *Builder) Softplus(x *Node) *Node {
	return b.Apply("softplus", x.Shape().Clone(), elementwise[float32](Softplus), elementwise[float64](Softplus), x)
}

// Sigmoid returns σ of every element of x.
func (b *Builder) Sigmoid(x *Node) *Node {
	return b.Apply("sigmoid", x.Shape().Clone(), elementwise[float32](Sigmoid), elementwise[float64](Sigmoid), x)
}

// elementwise is a function of one number and its slope.
type elementwise[T Float] func(x float64) (value, slope float64)

func (f elementwise[T]) Forward(y []T, x ...[]T) {
	for i, v := range x[0] {
		value, _ := f(float64(v))
		y[i] = T(value)
	}
}

func (f elementwise[T]) Backward(dx, x [][]T, _, dy []T) {
	for i, v := range x[0] {
		_, slope := f(float64(v))
		dx[0][i] = T(slope * float64(dy[i]))
	}
}
