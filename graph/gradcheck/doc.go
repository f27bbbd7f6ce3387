// Package gradcheck compares the gradients of a graph with finite differences. It is for
// tests of user-defined layers, distances, losses and other operations, and for
// self-checks of programs.
//
// Check and Find build a training graph in float64, run it three times, because
// several faults of expression graphs only appear from the second run on, and
// compare its gradients with central differences of the cost: along three random
// directions of all weights together, and along five coordinates of each trainable
// weight. Check reports to a testing.T; Find returns the errors.
//
// To check the gradient with respect to an input, make the input a weight:
//
//	gradcheck.Check(t, graph.NewWeights(graph.Float64, 1), nil, func(b *graph.Builder) graph.Outputs {
//		x := b.Weight("x", graph.Bias, graph.Normal(0, 1), 5)
//		y := b.Apply("log cosh", x.Shape(), nil, logCosh[float64]{}, x)
//		return graph.Outputs{graph.Cost: b.Node(gorgonia.Sum(y))}
//	})
//
// Perturb moves weights away from initial values such as a gain of 1, which would hide
// errors of layout or order in a comparison of two implementations.
package gradcheck
