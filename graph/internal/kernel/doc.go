// Package kernel is arithmetic on plain slices: arrays in, arrays out.
//
// Its few nouns are the layers of a convolutional network. Conv, Linear,
// BatchNorm, MaxPool and AveragePool are made once for a shape, keep the
// scratch memory that the shape needs and are then called any number of times
// with Forward and Backward; one of them must not be used by two goroutines at
// once. Block is their composition: convolution, batch norm, activation and
// max pool. What needs no memory is a function: MatMul, Activate, Normalize,
// PairDistances, AllDistances, ChannelsFirst, ChannelsLast.
//
// Images are (batch, height, width, channels), row-major, and so is every
// activation between layers. Convolution weights are (filters, channels,
// height, width) and fully connected weights (out, in); any other order is
// private to a kernel.
//
// Backward takes what Forward took and the gradient of its result, and writes
// the gradients of its arguments: it overwrites them and never adds to them,
// and it skips an output that is nil. Outputs must not overlap inputs unless a
// function says that they may.
//
// Work is divided by shape and never by the number of threads, and partial
// sums are added in a fixed order, so results are the same bits on any number
// of threads. Long sums are split into partial sums, or kept in float64, so
// that the error of float32 results grows slowly with their length.
//
// Shapes and lengths are the caller's duty: the Validate methods say whether a
// shape makes sense, and a kernel that is given a slice of the wrong length
// panics. Nothing here knows of graphs or of gradients other than its own.
package kernel
