package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Mean returns Σ vᵢ / n over all values of any shape, a scalar.
func Mean(b *graph.Builder, values *graph.Node) *graph.Node {
	return meanBy(b, "mean", everyOne[float32], everyOne[float64], values)
}

// WeightedMean returns Σ wᵢvᵢ / Σ wᵢ, a scalar, for non-negative weights of the same
// shape as the values; a mask of zeros and ones selects values. The weights have no
// gradient. If no weight is above zero the result is 0 with gradient zero.
func WeightedMean(b *graph.Builder, values, weights *graph.Node) *graph.Node {
	if !values.Shape().Eq(weights.Shape()) {
		b.Fail("weighted mean: found values of shape %v and weights of shape %v, expected equal shapes", values.Shape(), weights.Shape())
	}
	return meanBy(b, "weighted mean", byWeight[float32], byWeight[float64], values, weights)
}

// MeanNonZero returns the mean of the values that are not zero, a scalar, so that
// examples whose loss is zero do not reduce the weight of the others. If all values are
// zero the result is 0 with gradient zero.
func MeanNonZero(b *graph.Builder, values *graph.Node) *graph.Node {
	return meanBy(b, "mean of non-zero values", unlessZero[float32], unlessZero[float64], values)
}

// Largest returns the largest value of each row among those whose mask is not zero:
// values and mask (N, M) to (N), and 0 for a row whose mask is all zero. The gradient
// goes to that element, the first one if several are equal; Gorgonia's Max gives the
// whole gradient to each of them.
func Largest(b *graph.Builder, values, mask *graph.Node) *graph.Node {
	return extremeOf(b, "largest", values, mask, 1)
}

// Smallest is like Largest, for the smallest value.
func Smallest(b *graph.Builder, values, mask *graph.Node) *graph.Node {
	return extremeOf(b, "smallest", values, mask, -1)
}

// Any returns 1 for each row of a mask with an element that is not zero, and 0 for the
// others: (N, M) to (N). It has no gradient.
func Any(b *graph.Builder, mask *graph.Node) *graph.Node {
	if mask.Dims() != 2 {
		b.Fail("any: found a mask of shape %v, expected (N, M)", mask.Shape())
	}
	return b.Apply("any", mask.Shape()[:1].Clone(), fixed[float32](markAny[float32]), fixed[float64](markAny[float64]), mask)
}

// Hinge returns max(0, x) of each element.
//
// It is not gorgonia.Rectify, which counts its calls in a variable of its package, so that
// graphs could not be built by several goroutines at once.
func Hinge(b *graph.Builder, x *graph.Node) *graph.Node {
	positive := b.Node(gorgonia.Gte(x, b.Constant(0), true))
	return b.Node(gorgonia.HadamardProd(x, positive))
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

// weighting is the weight of value i in a mean, given the operands.
type weighting[T graph.Float] func(x [][]T, i int) float64

func everyOne[T graph.Float]([][]T, int) float64     { return 1 }
func byWeight[T graph.Float](x [][]T, i int) float64 { return float64(x[1][i]) }

func unlessZero[T graph.Float](x [][]T, i int) float64 {
	if x[0][i] == 0 {
		return 0
	}
	return 1
}

func meanBy(b *graph.Builder, name string, f32 weighting[float32], f64 weighting[float64], operands ...*graph.Node) *graph.Node {
	return expression{b}.scalar(b.Apply(name, tensor.Shape{1}, mean[float32]{f32}, mean[float64]{f64}, operands...))
}

// mean adds up in float64 and in order, so that the result is precise to the last
// digit for any number of values.
type mean[T graph.Float] struct{ weight weighting[T] }

func (f mean[T]) Forward(y []T, x ...[]T) {
	var total, sum float64
	for i, v := range x[0] {
		if w := f.weight(x, i); w != 0 {
			total += w
			sum += w * float64(v)
		}
	}
	if y[0] = 0; total > 0 {
		y[0] = T(sum / total)
	}
}

func (f mean[T]) Backward(dx, x [][]T, _, dy []T) {
	var total float64
	for i := range x[0] {
		total += f.weight(x, i)
	}
	for i := range dx[0] {
		if dx[0][i] = 0; total > 0 {
			dx[0][i] = T(f.weight(x, i) / total * float64(dy[0]))
		}
	}
	if len(dx) > 1 {
		clear(dx[1])
	}
}

func extremeOf(b *graph.Builder, name string, values, mask *graph.Node, sign float64) *graph.Node {
	if values.Dims() != 2 || !values.Shape().Eq(mask.Shape()) {
		b.Fail("%s: found values of shape %v and a mask of shape %v, expected (N, M) twice", name, values.Shape(), mask.Shape())
	}
	return b.Apply(name, values.Shape()[:1].Clone(),
		&extreme[float32]{sign: float32(sign)}, &extreme[float64]{sign: sign}, values, mask)
}

// extreme finds the largest of sign·value.
type extreme[T graph.Float] struct {
	sign T
	at   []int // by row: the index of the value in the last forward pass, or −1
}

func (f *extreme[T]) Forward(y []T, x ...[]T) {
	values, mask := x[0], x[1]
	columns := len(values) / len(y)
	f.at = make([]int, len(y))
	for row := range y {
		f.at[row], y[row] = -1, 0
		for i := row * columns; i < (row+1)*columns; i++ {
			v := values[i]
			// A NaN is taken, to show in the result, and stays.
			if mask[i] != 0 && (f.at[row] < 0 || f.sign*v > f.sign*y[row] || v != v) {
				f.at[row], y[row] = i, v
			}
		}
	}
}

func (f *extreme[T]) Backward(dx, _ [][]T, _, dy []T) {
	clear(dx[0])
	clear(dx[1])
	for row, i := range f.at {
		if i >= 0 {
			dx[0][i] = dy[row]
		}
	}
}

// expression writes losses as Gorgonia expressions. Its methods take and return
// nodes; operands of two-place methods have equal shapes.
type expression struct{ *graph.Builder }

func (e expression) add(x, y *graph.Node) *graph.Node { return e.Node(gorgonia.Add(x, y)) }
func (e expression) sub(x, y *graph.Node) *graph.Node { return e.Node(gorgonia.Sub(x, y)) }

// product is element by element.
func (e expression) product(x, y *graph.Node) *graph.Node {
	return e.Node(gorgonia.HadamardProd(x, y))
}

func (e expression) scale(factor float64, x *graph.Node) *graph.Node {
	return e.Node(gorgonia.HadamardProd(e.Constant(factor), x))
}

// less is value − x.
func (e expression) less(value float64, x *graph.Node) *graph.Node {
	return e.Node(gorgonia.Sub(e.Constant(value), x))
}

func (e expression) plus(x *graph.Node, value float64) *graph.Node {
	return e.Node(gorgonia.Add(x, e.Constant(value)))
}

func (e expression) square(x *graph.Node) *graph.Node { return e.Node(gorgonia.Square(x)) }

// scalar is the one element of x, of shape (1).
func (e expression) scalar(x *graph.Node) *graph.Node { return e.Node(gorgonia.Sum(x)) }

// must ends the building of the graph if there is an error.
func (e expression) must(err error) {
	if err != nil {
		e.Fail("%v", err)
	}
}
