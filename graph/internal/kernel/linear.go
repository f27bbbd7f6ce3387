package kernel

import "github.com/likeness-go/likeness/internal/vector"

// Linear is a fully connected layer, y = x·weightᵀ + bias, with x (batch, in),
// weight (out, in), bias (out) and y (batch, out).
type Linear[T Float] struct{ batch, in, out int }

// NewLinear returns the layer of a shape.
func NewLinear[T Float](batch, in, out int) *Linear[T] {
	mustBeValid(positive("batch", batch))
	mustBeValid(positive("in", in))
	mustBeValid(positive("out", out))
	return &Linear[T]{batch, in, out}
}

// Forward writes y. A nil bias is zero.
func (l *Linear[T]) Forward(y, x, weight, bias []T) {
	checkOptional("bias", bias, l.out)
	checkLength("y", y, l.batch*l.out)
	if l.batch == 1 {
		checkLength("x", x, l.in)
		checkLength("weight", weight, l.in*l.out)
		l.forwardOne(y, x, weight, bias)
		return
	}
	for i := 0; i < len(y) && bias != nil; i += l.out {
		copy(y[i:i+l.out], bias)
	}
	MatMul(y, x, weight, l.batch, l.out, l.in, false, true, bias != nil)
}

// forwardOne is Forward for one row: dot products, which keep up with memory.
func (l *Linear[T]) forwardOne(y, x, weight, bias []T) {
	e := vector.For[T]()
	bands := max(1, min(units, l.in*l.out>>14))
	Parallel(bands, func(band int) {
		for i := band * l.out / bands; i < (band+1)*l.out/bands; i++ {
			y[i] = e.Dot(x, weight[i*l.in:][:l.in])
			if bias != nil {
				y[i] += bias[i]
			}
		}
	})
}

// Backward writes the gradients that are not nil, given x, weight and the
// gradient dy of y; with add, that of the weight is added to what dweight holds.
func (l *Linear[T]) Backward(dx, dweight, dbias, x, weight, dy []T, add bool) {
	if dx != nil {
		MatMul(dx, dy, weight, l.batch, l.in, l.out, false, false, false)
	}
	if dweight != nil {
		MatMul(dweight, dy, x, l.out, l.in, l.batch, true, false, add)
	}
	if dbias != nil {
		sumRows(dbias, dy, l.batch, l.out)
	}
}
