package objectives

import (
	"github.com/likeness-go/likeness/graph"
	"gorgonia.org/tensor"
)

// mean is Σ vᵢ / n, a scalar.
func (e expression) mean(values *graph.Node) *graph.Node {
	return e.scalar(e.Apply("mean", tensor.Shape{1}, &mean[float32]{}, &mean[float64]{}, values))
}

// weightedMean is Σ wᵢvᵢ / Σ wᵢ, a scalar. Where no weight is above zero it is
// 0, with gradient zero. The weights, of the values' shape, are constants: the
// mean is not differentiated by them.
func (e expression) weightedMean(values, weights *graph.Node) *graph.Node {
	return e.scalar(e.Apply("mean", tensor.Shape{1}, &mean[float32]{}, &mean[float64]{}, values, weights))
}

// mean adds up in float64 and in order, so that a cost has all the digits of
// its arithmetic however many pairs it is the mean of.
type mean[T graph.Float] struct{}

func (mean[T]) Forward(y []T, x ...[]T) {
	var total, sum float64
	weight := weights(x)
	for i, v := range x[0] {
		if w := weight(i); w != 0 {
			total += w
			sum += w * float64(v)
		}
	}
	if y[0] = 0; total > 0 {
		y[0] = T(sum / total)
	}
}

func (mean[T]) Backward(dx, x [][]T, _, dy []T) {
	var total float64
	weight := weights(x)
	for i := range x[0] {
		total += weight(i)
	}
	for i := range dx[0] {
		if dx[0][i] = 0; total > 0 {
			dx[0][i] = T(weight(i) / total * float64(dy[0]))
		}
	}
	if len(dx) > 1 {
		clear(dx[1])
	}
}

// weights gives the weight of each value: 1 where there is no operand of them.
func weights[T graph.Float](x [][]T) func(i int) float64 {
	if len(x) == 1 {
		return func(int) float64 { return 1 }
	}
	return func(i int) float64 { return float64(x[1][i]) }
}
