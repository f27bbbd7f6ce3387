// Package kernel computes the layers of neural networks on plain slices: forward
// passes and gradients, without graphs or automatic differentiation.
//
// The main types are the layers of a convolutional network: Conv, Linear, BatchNorm,
// LayerNorm, MaxPool, AveragePool, GeM and SqueezeExcite. Each is made for a shape, keeps
// the scratch memory that the shape needs, and has the methods Forward and Backward,
// which may be called any number of times but not by two goroutines at once. Block
// combines a convolution, batch normalization, an activation and max pooling in one pass
// over memory, and Inverted combines the blocks of an inverted residual. Operations that need
// no memory of their own are functions: MatMul, Activate, AddActivate, GlobalAverage,
// ScaleChannels, ScaleImages, Normalize, PairDistances, AllDistances, ChannelsFirst,
// ChannelsLast.
//
// Images, and all activations between layers, have the shape (batch, height, width,
// channels) in row-major order. Convolution weights are (filters, channels/groups, height,
// width) and weights of fully connected layers (out, in); any other order is internal
// to a kernel.
//
// Backward takes the arguments of Forward and the gradient of its result, and writes
// the gradients of the arguments: it overwrites them and never adds to them, and it
// skips an output that is nil. Outputs must not overlap inputs unless a function says
// that they may.
//
// Work is divided by shape, never by the number of threads, and partial sums are added
// in a fixed order, so results are equal, bit for bit, for any number of threads. Long
// sums are split into partial sums, or computed in float64, so that the error of
// float32 results grows slowly with their length. The number of threads is that of
// package parallel, whose persistent workers run the kernels; see Retain.
//
// The caller is responsible for shapes and lengths: the Validate methods check a shape,
// and a kernel that is given a slice of the wrong length panics.
//
// Begin reading with Conv in conv.go, which needs only the borders and spans of
// shape.go and the packed matrices of linear.go. A convolution chooses between three
// algorithms: direct products (conv.go), Winograd's algorithm (winograd.go, winograd_batch.go) and the
// Fourier transform (fourier.go). Layers that compute direct products may round their factors
// to bfloat16 in training (bfloat16.go). Depthwise convolutions and other groups are in
// depthwise.go. Block in block.go is what package graph runs for a
// convolutional layer, and Inverted in inverted.go what it runs for an inverted residual in
// evaluation. The inner loops are those of package vector.
package kernel
