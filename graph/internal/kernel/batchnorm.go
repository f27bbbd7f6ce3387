package kernel

import (
	"math"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// BatchNorm normalizes each channel of x (rows, channels), where rows is
// batch·height·width, to the mean shift and the standard deviation gain:
//
//	y = gain·x̂ + shift,  x̂ = (x − mean)/√(variance + ε)
//
// after Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network
// Training by Reducing Internal Covariate Shift" (2015), algorithm 1.
type BatchNorm[T Float] struct {
	// Mean and Variance (channels) are the statistics of the batch in the last call of
	// Forward. The variance is biased: the sum is divided by the number of rows.
	Mean, Variance []T

	parts int                    // of the batch, which have their statistics in common
	sum   func(values []float64) // replaces values of this part by their sums over all parts; nil for one part

	engine         vector.Engine[T]
	rows, channels int
	epsilon        float64
	inverse        []T       // (channels) 1/√(variance + ε)
	scale          []T       // (channels) gain·inverse
	total          []float64 // (2·channels) sums over rows
}

// NewBatchNorm returns the layer of a shape. epsilon is ε and must be above zero.
func NewBatchNorm[T Float](rows, channels int, epsilon float64) *BatchNorm[T] {
	mustBeValid(atLeastOne("rows", rows))
	mustBeValid(atLeastOne("channels", channels))
	return &BatchNorm[T]{
		Mean: make([]T, channels), Variance: make([]T, channels),
		engine: vector.For[T](), rows: rows, channels: channels, epsilon: epsilon,
		inverse: make([]T, channels), scale: make([]T, channels),
		total: make([]float64, 2*channels),
	}
}

// ShareStatistics makes the statistics those of a batch of several equal parts, of which x is one. sum, which is called once in
// each pass, replaces values of this part by their sums over all parts.
func (n *BatchNorm[T]) ShareStatistics(parts int, sum func(values []float64)) {
	n.parts, n.sum = parts, sum
}

// set sets Mean and Variance, given those of this part of the batch, the mean first.
func (n *BatchNorm[T]) set(own []float64) {
	mean, variance := own[:n.channels], own[n.channels:]
	if n.sum != nil {
		for c, m := range mean {
			variance[c] += m * m // in float64, which keeps a variance that is small compared with the mean
		}
		n.sum(own)
		for c := range mean {
			mean[c] /= float64(n.parts)
			variance[c] = max(0, variance[c]/float64(n.parts)-mean[c]*mean[c])
		}
	}
	round(n.Mean, mean)
	round(n.Variance, variance)
}

// Forward normalizes by the statistics of the batch x, which it stores in Mean and
// Variance. y may be x.
func (n *BatchNorm[T]) Forward(y, x, gain, shift []T) {
	n.computeStatistics(x)
	n.Apply(y, x, gain, shift, n.Mean, n.Variance)
}

// Apply normalizes by the given statistics mean and variance (channels), as in
// evaluation and in frozen layers. It does not change Mean and Variance. y may be x.
func (n *BatchNorm[T]) Apply(y, x, gain, shift, mean, variance []T) {
	checkLength("y", y, n.rows*n.channels)
	checkLength("x", x, n.rows*n.channels)
	n.prepare(gain, mean, variance)
	checkLength("shift", shift, n.channels)
	n.forEachChunk(func(first, last int) {
		n.engine.Normalize(y[first:last], x[first:last], mean, n.scale, shift)
	})
}

// Backward writes the gradients of Forward that are not nil. It uses the statistics in
// Mean and Variance. dx may be dy.
func (n *BatchNorm[T]) Backward(dx, dgain, dshift, x, gain, dy []T) {
	checkLength("x", x, n.rows*n.channels)
	checkLength("dy", dy, n.rows*n.channels)
	n.prepare(gain, n.Mean, n.Variance)
	n.sums(dgain, dshift, x, n.Mean, dy)
	if dx == nil {
		return
	}
	checkLength("dx", dx, len(x))
	along, mean := n.corrections()
	n.forEachChunk(func(first, last int) {
		n.engine.Center(dx[first:last], x[first:last], dy[first:last], n.Mean, n.scale, along, mean)
	})
}

// ApplyBackward writes the gradients of Apply that are not nil. The statistics are
// constants, so dx is dy·scale. dx may be dy.
func (n *BatchNorm[T]) ApplyBackward(dx, dgain, dshift, x, gain, mean, variance, dy []T) {
	checkLength("x", x, n.rows*n.channels)
	checkLength("dy", dy, n.rows*n.channels)
	n.prepare(gain, mean, variance)
	if dgain != nil || dshift != nil {
		n.sums(dgain, dshift, x, mean, dy)
	}
	if dx == nil {
		return
	}
	checkLength("dx", dx, len(x))
	n.forEachChunk(func(first, last int) {
		n.engine.ScaleChannels(dx[first:last], dy[first:last], n.scale)
	})
}

// computeStatistics computes Mean and Variance of x in two passes, because the
// difference of two large sums of squares would lose a small variance.
func (n *BatchNorm[T]) computeStatistics(x []T) {
	checkLength("x", x, n.rows*n.channels)
	reduceRows(n.total[:n.channels], n.rows, n.channels, func(sum []float64, first, last int) {
		n.engine.SumRows(sum, x[first*n.channels:last*n.channels])
	})
	own := make([]float64, 2*n.channels)
	for c := range n.Mean {
		own[c] = n.total[c] / float64(n.rows)
		n.Mean[c] = T(own[c])
	}
	reduceRows(n.total[:n.channels], n.rows, n.channels, func(sum []float64, first, last int) {
		n.engine.SumSquares(sum, x[first*n.channels:last*n.channels], n.Mean)
	})
	for c := range n.Variance {
		own[n.channels+c] = n.total[c] / float64(n.rows)
	}
	n.set(own)
}

// prepare computes inverse and scale for a mean and a variance.
func (n *BatchNorm[T]) prepare(gain, mean, variance []T) {
	checkLength("gain", gain, n.channels)
	checkLength("mean", mean, n.channels)
	checkLength("variance", variance, n.channels)
	for c, v := range variance {
		n.inverse[c] = T(1 / math.Sqrt(float64(v)+n.epsilon))
		n.scale[c] = gain[c] * n.inverse[c]
	}
}

// sums computes Σdy·x̂ and Σdy for each channel.
func (n *BatchNorm[T]) sums(dgain, dshift, x, mean, dy []T) {
	reduceRows(n.total, n.rows, n.channels, func(sum []float64, first, last int) {
		n.engine.SumProducts(sum, x[first*n.channels:last*n.channels], dy[first*n.channels:last*n.channels], mean)
	})
	n.finishSums(n.total, dgain, dshift)
}

// finishSums converts total from Σdy·(x − mean) and Σdy to Σdy·x̂ and Σdy, and writes
// the outputs that are not nil.
func (n *BatchNorm[T]) finishSums(total []float64, dgain, dshift []T) {
	copy(n.total, total)
	for c, inverse := range n.inverse {
		n.total[c] *= float64(inverse)
	}
	if dgain != nil {
		checkLength("dgain", dgain, n.channels)
		round(dgain, n.total[:n.channels])
	}
	if dshift != nil {
		checkLength("dshift", dshift, n.channels)
		round(dshift, n.total[n.channels:])
	}
	if n.sum != nil { // for the gradient of x; those of the weights are added up with the others
		n.sum(n.total)
	}
}

// corrections returns, for each channel, the two terms of dx that come from the
// dependence of the statistics on x: the slope of dy along x − mean, and the mean of dy.
func (n *BatchNorm[T]) corrections() (along, mean []T) {
	along, mean = make([]T, n.channels), make([]T, n.channels)
	rows := n.rows * max(1, n.parts)
	for c, inverse := range n.inverse {
		along[c] = T(n.total[c] * float64(inverse) / float64(rows))
		mean[c] = T(n.total[n.channels+c] / float64(rows))
	}
	return along, mean
}

// forEachChunk calls work for ranges of elements that are whole rows.
func (n *BatchNorm[T]) forEachChunk(work func(first, last int)) {
	step := rowsPerChunk(n.channels)
	parallel.For(ceilDiv(n.rows, step), func(i int) {
		work(i*step*n.channels, min((i+1)*step, n.rows)*n.channels)
	})
}
