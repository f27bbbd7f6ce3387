package kernel

import (
	"math"

	"github.com/likeness-go/likeness/internal/parallel"
	"github.com/likeness-go/likeness/internal/vector"
)

// BatchNorm shifts and scales each channel of x (rows, channels), rows being
// batch·height·width, to mean shift and standard deviation gain:
//
//	y = gain·x̂ + shift,  x̂ = (x − mean)/√(variance + ε)
//
// after Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network
// Training by Reducing Internal Covariate Shift" (2015), algorithm 1.
type BatchNorm[T Float] struct {
	// Mean and Variance are the statistics (channels) of the last Forward. The
	// variance is the biased one, divided by the number of rows.
	Mean, Variance []T

	engine         vector.Engine[T]
	rows, channels int
	epsilon        float64
	inverse        []T       // (channels) 1/√(variance + ε)
	scale          []T       // (channels) gain·inverse
	total          []float64 // (2·channels) sums over rows
}

// NewBatchNorm returns the layer of a shape; epsilon is ε, above zero.
func NewBatchNorm[T Float](rows, channels int, epsilon float64) *BatchNorm[T] {
	mustBeValid(positive("rows", rows))
	mustBeValid(positive("channels", channels))
	return &BatchNorm[T]{
		Mean: make([]T, channels), Variance: make([]T, channels),
		engine: vector.For[T](), rows: rows, channels: channels, epsilon: epsilon,
		inverse: make([]T, channels), scale: make([]T, channels),
		total: make([]float64, 2*channels),
	}
}

// Forward normalises by the statistics of the batch x, which it leaves in Mean
// and Variance. y may be x.
func (n *BatchNorm[T]) Forward(y, x, gain, shift []T) {
	n.measure(x)
	n.Apply(y, x, gain, shift, n.Mean, n.Variance)
}

// Apply normalises by given statistics mean and variance (channels), as in
// evaluation and in frozen layers. It leaves Mean and Variance alone. y may be
// x.
func (n *BatchNorm[T]) Apply(y, x, gain, shift, mean, variance []T) {
	checkLength("y", y, n.rows*n.channels)
	checkLength("x", x, n.rows*n.channels)
	n.prepare(gain, mean, variance)
	checkLength("shift", shift, n.channels)
	n.chunks(func(first, last int) {
		n.engine.Normalize(y[first:last], x[first:last], mean, n.scale, shift)
	})
}

// Backward writes the gradients of Forward that are not nil; it uses the
// statistics in Mean and Variance. dx may be dy.
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
	n.chunks(func(first, last int) {
		n.engine.Center(dx[first:last], x[first:last], dy[first:last], n.Mean, n.scale, along, mean)
	})
}

// ApplyBackward writes the gradients of Apply that are not nil. The statistics
// are constants, so dx is dy scaled. dx may be dy.
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
	n.chunks(func(first, last int) {
		n.engine.ScaleChannels(dx[first:last], dy[first:last], n.scale)
	})
}

// measure computes Mean and Variance of x, in two passes: the difference of
// two large sums of squares would lose a small variance.
func (n *BatchNorm[T]) measure(x []T) {
	checkLength("x", x, n.rows*n.channels)
	reduceRows(n.total[:n.channels], n.rows, n.channels, func(sum []float64, first, last int) {
		n.engine.SumRows(sum, x[first*n.channels:last*n.channels])
	})
	for c := range n.Mean {
		n.Mean[c] = T(n.total[c] / float64(n.rows))
	}
	reduceRows(n.total[:n.channels], n.rows, n.channels, func(sum []float64, first, last int) {
		n.engine.SumSquares(sum, x[first*n.channels:last*n.channels], n.Mean)
	})
	for c := range n.Variance {
		n.Variance[c] = T(n.total[c] / float64(n.rows))
	}
}

// prepare computes inverse and scale.
func (n *BatchNorm[T]) prepare(gain, mean, variance []T) {
	checkLength("gain", gain, n.channels)
	checkLength("mean", mean, n.channels)
	checkLength("variance", variance, n.channels)
	for c, v := range variance {
		n.inverse[c] = T(1 / math.Sqrt(float64(v)+n.epsilon))
		n.scale[c] = gain[c] * n.inverse[c]
	}
}

// sums computes Σdy·x̂ and Σdy, channel by channel.
func (n *BatchNorm[T]) sums(dgain, dshift, x, mean, dy []T) {
	reduceRows(n.total, n.rows, n.channels, func(sum []float64, first, last int) {
		n.engine.SumProducts(sum, x[first*n.channels:last*n.channels], dy[first*n.channels:last*n.channels], mean)
	})
	n.finishSums(n.total, dgain, dshift)
}

// finishSums turns total from Σdy·(x − mean) and Σdy into Σdy·x̂ and Σdy, and
// writes the outputs that are not nil.
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
}

// corrections returns, for each channel, what dx loses through the statistics:
// the slope of dy along x − mean and the mean of dy.
func (n *BatchNorm[T]) corrections() (along, mean []T) {
	along, mean = make([]T, n.channels), make([]T, n.channels)
	for c, inverse := range n.inverse {
		along[c] = T(n.total[c] * float64(inverse) / float64(n.rows))
		mean[c] = T(n.total[n.channels+c] / float64(n.rows))
	}
	return along, mean
}

// chunks calls work for ranges of elements that hold whole rows.
func (n *BatchNorm[T]) chunks(work func(first, last int)) {
	step := rowsPerChunk(n.channels)
	parallel.For(ceilDiv(n.rows, step), func(i int) {
		work(i*step*n.channels, min((i+1)*step, n.rows)*n.channels)
	})
}
