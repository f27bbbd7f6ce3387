// Package graph makes Gorgonia fit for convolutional twin networks: named
// weights shared by many graphs, layers that are operations of our own with
// symbolic gradients, and a compiled program.
//
// Its nouns:
//
//   - Weights are the named tensors of a network. They outlive graphs.
//   - Build draws a static Gorgonia graph with a Builder, differentiates its
//     cost and compiles it to a Program.
//   - A Block is a layer as plain data. Applied twice in one graph it binds
//     the same weights, which is what makes towers twins.
//   - A Function is an operation with its gradient over plain slices, the form
//     in which layers, distances and fused losses enter a graph.
//   - A Program is set, run and read. Its gradients are Parameters, which any
//     gorgonia.Solver takes.
//
// Building and running have two styles of error. While drawing, Builder's
// methods return nodes only and an error unwinds to Build, which returns it
// with the layer's name; Builder.Node takes what Gorgonia's own functions
// return. A Program's methods return errors. No panic leaves the package, save
// one inside an operation of Gorgonia's own during a run: Gorgonia runs it in a
// goroutine where nobody can catch it.
//
// Images are (batch, height, width, channels) inside graphs, weights are in
// PyTorch's layout. One graph has one arithmetic, that of its weights.
//
// # What Gorgonia would get wrong
//
// Gorgonia v0.9.18 merges nodes by a 32-bit hash, shares memory in Reshape,
// differentiates Dropout, AveragePool2D and some reductions wrongly, and adds
// up gradients over runs. Every operation of this package has a hash of its
// own, Build refuses two nodes of one hash and slices whose hash is not their
// own, gradients are read from nodes and not from accumulators, and the
// operations known to be wrong are not used: use Builder.Reshape, Dropout and
// AveragePool of this package in their place.
package graph
