// Package graph builds and runs the computation graphs of siamese and triplet networks on
// Gorgonia: named weights that many graphs share, layers with their own gradients, and
// compiled programs.
//
// Its main types:
//
//   - Weights are the named tensors of a network. They outlive graphs.
//   - Build makes a static Gorgonia graph with a Builder, differentiates its
//     cost and compiles it to a Program.
//   - A Block is the description of a layer. Applied twice in one graph it uses the same
//     weights, which makes the towers of a siamese network equal.
//   - A Function is an operation with its gradient over plain slices. Layers, distances
//     and losses are Functions, and so are user-defined operations.
//   - A Program has inputs to set, runs the graph, and returns outputs and gradients;
//     Gradients is the argument of a solver's Step.
//
// The blocks:
//
//	Conv               convolution, batch norm, activation and max pool as one operation
//	Linear             fully connected layer
//	BatchNorm          normalization by the statistics of the batch, or by running ones
//	LayerNorm          normalization of each pixel or row
//	Activate           an activation: relu, prelu, relu6, sigmoid, tanh, silu, gelu, hardsigmoid, hardswish
//	MaxPool            largest element of each window
//	AveragePool        mean of each window
//	GlobalAveragePool  mean of each channel
//	GeM                generalized mean of each channel
//	SqueezeExcite      factors of the channels, computed from their means
//	Scale              trainable factors of the channels
//	Residual           sum of a body and a shortcut, with stochastic depth
//	Dropout            random zeros in training
//	Flatten            images to rows
//	Normalize          rows of length 1
//
// Conv, Linear and Residual compute their activation within.
//
// While a graph is built, Builder's methods return nodes only; an error ends Build, which
// returns it with the name of the layer. Builder.Node accepts the results of Gorgonia's
// functions. A Program's methods return errors. No panic leaves the package, except one
// inside a stock Gorgonia operation during a run: Gorgonia runs it in another goroutine,
// where it cannot be recovered.
//
// Images are (batch, height, width, channels) inside graphs; weights have
// PyTorch's layout, those of a convolution (filters, channels/groups, height, width). All nodes of a graph have one element type, that of its
// weights: Float32, or Float64 for gradient checks. Package graph/gradcheck
// compares gradients with finite differences.
//
// # Gorgonia's own operations
//
// A graph may contain stock Gorgonia operations beside those of this package. For each of
// the following a test checks the values of three runs and the gradients, in Gorgonia
// v0.9.18:
//
//   - elementwise: Abs, Neg, Square, Cube, Sqrt, Inverse, Exp, Expm1, Log, Log1p,
//     Sin, Cos, Tanh, Sigmoid, Softplus, Rectify, LeakyRelu;
//   - of two tensors of one shape: Add, Sub, HadamardProd, HadamardDiv,
//     MaxBetween, MinBetween; Pow with a constant; Gt and Lt as masks;
//   - BroadcastAdd, BroadcastSub, BroadcastHadamardProd, BroadcastHadamardDiv;
//   - Sum and Mean over one axis or all, Max over one axis, Norm over one axis,
//     SoftMax;
//   - Mul, Transpose, Concat, and Slice of axes of up to 256 elements.
//
// Three of them have limits: Sigmoid and Softplus are cut off at large arguments,
// which Builder.Sigmoid and Builder.Softplus are not, and the gradients of Sqrt
// and Norm are not finite at zero.
//
// Build refuses the following, and its error states what to use instead:
//
//	Reshape, Ravel, KeepDims              share memory with their source      Builder.Reshape
//	Conv2d, Conv1d                        are made of such reshapes           Conv
//	Dropout                               wrong gradient                      Dropout
//	MaxPool2D, MaxPool1D                  panic on NaN                        MaxPool
//	AveragePool2D                         wrong gradient                      AveragePool
//	GlobalAveragePool2D                   panics when differentiated          GlobalAveragePool
//	BatchNorm                             loses its running statistics        BatchNorm
//	InverseSqrt, Log2                     wrong gradient                      Inverse of Sqrt, Log
//	Sum, Mean over several axes of more   wrong gradient                      one axis after the other
//	Sum, Mean, Max, Broadcast... over     wrong values, wrong gradient        Builder.Reshape, so that it is
//	an axis between the second and last                                       the first, second or last axis
//	LogSumExp                             computes log(sum + max)             Exp, Sum and Log
//	Slice of an axis of more than 256     may be taken for another slice      a Function
//
// Other Gorgonia operations are neither tested nor refused: check the gradients of a
// graph that contains them with graph/gradcheck.
//
// Gorgonia also merges nodes whose 32-bit hashes are equal, and accumulates gradients
// over runs. Every operation of this package has a distinct hash, Build refuses two nodes
// with the same hash, and gradients are read from nodes instead of Gorgonia's
// accumulators.
package graph
