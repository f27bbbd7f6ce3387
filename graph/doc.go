// Package graph builds and runs the computation graphs of siamese and triplet
// networks on Gorgonia: named weights that many graphs share, layers with
// gradients of their own, and compiled programs.
//
// Its main types:
//
//   - Weights are the named tensors of a network. They outlive graphs.
//   - Build makes a static Gorgonia graph with a Builder, differentiates its
//     cost and compiles it to a Program.
//   - A Block is a layer as plain data. Applied twice in one graph it uses the
//     same weights, which makes the towers of a siamese network equal.
//   - A Function is an operation with its gradient over plain slices. Layers,
//     distances and losses are Functions, and so are a user's own operations.
//   - A Program is set, run and read. Its Gradients are what the Step of a solver
//     takes.
//
// While a graph is built, Builder's methods return nodes only; an error ends
// Build, which returns it with the name of the layer. Builder.Node takes what
// Gorgonia's own functions return. A Program's methods return errors. No panic
// leaves the package, except one inside an operation of Gorgonia's own during a
// run: Gorgonia runs it in a goroutine of its own, where it cannot be recovered.
//
// Images are (batch, height, width, channels) inside graphs; weights have
// PyTorch's layout. All nodes of a graph have one element type, that of its
// weights: Float32, or Float64 for gradient checks. Package graph/gradcheck
// compares gradients with finite differences.
//
// # Gorgonia's own operations
//
// A graph may contain operations of Gorgonia's own beside those of this package.
// For each of the following a test checks the values of three runs and the
// gradients, in Gorgonia v0.9.18:
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
// Build refuses the following, and its error says what to use instead:
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
//	LogSumExp                             computes log(sum + max)             Exp, Sum and Log
//	Slice of an axis of more than 256     may be taken for another slice      a Function
//
// Other operations of Gorgonia's are neither tested nor refused: check the
// gradients of a graph that contains them with graph/gradcheck.
//
// Gorgonia also takes nodes whose 32-bit hashes are equal for one node, and adds
// up gradients over runs. Every operation of this package has a hash of its own,
// Build refuses two nodes of one hash, and gradients are read from nodes instead
// of Gorgonia's accumulators.
package graph
