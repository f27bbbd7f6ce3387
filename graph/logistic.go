package graph

import "math"

// The logistic function σ and its integral softplus are computed here at full
// precision for every number. Gorgonia's own replace softplus(x) by x above 16
// and σ(x) by 1 above 19, which in float64 leaves errors of 1e-7 and 6e-9.

// Softplus is log(1 + exp(x)) and its slope σ(x).
func Softplus(x float64) (value, slope float64) {
	small := math.Exp(-math.Abs(x)) // never overflows
	if slope = 1 / (1 + small); x < 0 {
		slope *= small
	}
	return max(x, 0) + math.Log1p(small), slope
}

// Sigmoid is σ(x) = 1/(1 + exp(−x)) and its slope σ(x)·σ(−x).
func Sigmoid(x float64) (value, slope float64) {
	small := math.Exp(-math.Abs(x))
	if value = 1 / (1 + small); x < 0 {
		value *= small
	}
	return value, small / ((1 + small) * (1 + small))
}

// Softplus adds the softplus of every element of x to the graph.
func (b *Builder) Softplus(x *Node) *Node {
	return b.Apply("softplus", x.Shape().Clone(), elementwise[float32](Softplus), elementwise[float64](Softplus), x)
}

// Sigmoid adds σ of every element of x to the graph.
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
